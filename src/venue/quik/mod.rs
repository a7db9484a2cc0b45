//! QUIK.
mod outcome;
mod params;
#[cfg(test)]
mod said;
