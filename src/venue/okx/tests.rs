//! The OKX session driven without a socket: what it sends, and what it makes of what the venue says.
