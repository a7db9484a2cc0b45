// Keeps one order book: joins the delta stream to a snapshot, checks every sequence, and heals by itself.
//
//     npm install
//     node book.mjs book.bybit.linear.BTCUSDT. [CHANGES [whole]]
//
// Prints the best bid and ask after each change, or the whole book. docs/WIRE.md explains every step.
import { Request, Subscriber } from "zeromq";

const BUS = process.env.TICKBUS_BUS ?? "tcp://127.0.0.1:5555";
const SNAPSHOT = process.env.TICKBUS_SNAPSHOT ?? "tcp://127.0.0.1:5556";

// JSON.parse rounds integers above 2^53, so the clocks `ts_…` lose their last digits. `seq` and `epoch` are exact.
const read = (payload) => JSON.parse(payload.toString());
// 0.10 and 0.1 are the same level.
const key = (price) => (price.includes(".") ? price.replace(/\.?0+$/, "") : price);

/** Levels by price, and the place in the delta stream they belong to. */
class Book {
  constructor(frame, seq) {
    Object.assign(this, { epoch: frame.epoch, bids: new Map(), asks: new Map() });
    this.put(frame, seq);
  }

  put(frame, seq) {
    this.seq = seq;
    for (const side of ["bids", "asks"]) {
      for (const [price, size] of frame[side]) {
        if (Number(size) === 0) this[side].delete(key(price));
        else this[side].set(key(price), [price, size]);
      }
    }
  }

  text(whole) {
    const bids = [...this.bids.values()].sort((a, b) => Number(b[0]) - Number(a[0]));
    const asks = [...this.asks.values()].sort((a, b) => Number(a[0]) - Number(b[0]));
    if (whole) return JSON.stringify({ epoch: this.epoch, seq: this.seq, bids, asks });
    const best = [bids[0], asks[0]].map((level) => level?.join(" x ") ?? "none");
    return `${String(this.seq).padStart(8)}  ${best.join("  |  ")}`;
  }
}

/** What a socket receives next, or null when its time is up. */
const receive = (socket) =>
  socket.receive().catch((error) => {
    if (error.code !== "EAGAIN") throw error;
    return null;
  });

/** The whole book as it is now, or null if it is not live. */
async function fetchBook(topic) {
  const request = new Request({ linger: 0, receiveTimeout: 2000 });
  request.connect(SNAPSHOT);
  await request.send(JSON.stringify({ op: "snapshot", topic }));
  const parts = await receive(request);
  request.close();
  if (parts?.length !== 2) return null;
  const frame = read(parts[1]);
  return new Book(frame, frame.delta_seq);
}

/** Yields the book after each change, and null when it becomes unknown: do not trade until the next one. */
async function* follow(topic) {
  const [delta, status] = ["delta.", "status."].map((channel) => topic.replace("book.", channel));
  // Deltas wait in the socket while the snapshot is fetched. A heartbeat comes each second, so the timeout is never
  // reached while the gateway lives. The status is asked for last: it comes at once, and proves the others.
  const sub = new Subscriber({ receiveHighWaterMark: 100_000, receiveTimeout: 5000 });
  sub.connect(BUS);
  sub.subscribe("heartbeat.", delta, status);
  for (let book = null, live = false; ; ) {
    const before = book && `${book.epoch} ${book.seq}`;
    const parts = await receive(sub);
    const frame = parts ? read(parts[1]) : { type: "silence" };
    const { type, seq } = frame;
    const sameRun = book !== null && frame.epoch === book.epoch;
    if (type === "status" && (frame.channel ?? "book") === "book") {
      console.error(frame.state, frame.reason ?? "", frame.detail ?? "");
      live = frame.state === "live";
      book = null; // live again: connected anew, and deltas may be lost
    } else if (type === "delta" && sameRun && seq <= book.seq) continue; // the snapshot has it already
    else if (type === "delta" && frame.snapshot) book = new Book(frame, seq);
    else if (type === "delta" && sameRun && seq === book.seq + 1) book.put(frame, seq);
    else if (type === "delta" || !sameRun || frame.topics?.[delta] > book.seq) {
      book = null; // deltas were lost, maybe the last ones; the gateway is silent, or is another run
    }
    if (!book && live && type !== "silence" && (before || type !== "delta")) book = await fetchBook(topic);
    if (before !== (book && `${book.epoch} ${book.seq}`)) yield book;
  }
}

const [topic, changes, whole] = process.argv.slice(2);
let left = Number(changes ?? 0);
for await (const book of follow(topic)) {
  console.log(book ? book.text(whole) : "book unknown");
  if (book && --left === 0) break;
}
