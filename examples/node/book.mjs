// Keeps one order book: joins the delta stream to a snapshot, checks every sequence, and heals by itself.
//
//     npm install; node book.mjs book.bybit.linear.BTCUSDT. [CHANGES [whole]]
//
// Prints the best bid and ask after each change, or the whole book. docs/WIRE.md explains every step.
import { readFileSync } from "node:fs";
import { Request, Subscriber } from "zeromq";

const BUS = process.env.TICKBUS_BUS ?? "tcp://127.0.0.1:5555";
const SNAPSHOT = process.env.TICKBUS_SNAPSHOT ?? "tcp://127.0.0.1:5556";

// Options of a socket; with keys if TICKBUS_SERVER_KEY and TICKBUS_KEY name files as `tickbus keygen` makes them.
const options = (receiveTimeout) => {
  const { TICKBUS_SERVER_KEY: server, TICKBUS_KEY: own } = process.env;
  const key = (file, kind) => readFileSync(file, "utf8").match(`${kind}-key = "(.*)"`)[1];
  const keys = own
    ? { curveServerKey: key(server, "public"), curvePublicKey: key(own, "public"), curveSecretKey: key(own, "secret") }
    : {};
  return { linger: 0, receiveTimeout, receiveHighWaterMark: 100_000, ...keys };
};

// 0.10 and 0.1 are the same level.
const key = (price) => (price.includes(".") ? price.replace(/\.?0+$/, "") : price);

/** Levels by price, and the place in the delta stream they belong to. */
class Book {
  constructor(frame) {
    Object.assign(this, { epoch: frame.epoch, bids: new Map(), asks: new Map() });
    this.put(frame);
  }

  put(frame) {
    this.seq = frame.delta_seq ?? frame.seq; // a snapshot tells which deltas it includes
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
    if (error.code === "EAGAIN") return null;
    throw error;
  });

/** The whole book as it is now, or null if it is not live. */
async function fetchBook(topic) {
  const request = new Request(options(2000));
  request.connect(SNAPSHOT);
  await request.send(JSON.stringify({ op: "snapshot", topic }));
  const parts = await receive(request);
  request.close();
  return parts?.length === 2 ? new Book(JSON.parse(parts[1])) : null;
}

/** Yields the book after each change, and null when it becomes unknown: do not trade until the next one. */
async function* follow(topic) {
  const [delta, status] = ["delta.", "status."].map((channel) => topic.replace("book.", channel));
  const sub = new Subscriber(options(5000)); // a heartbeat comes each second
  sub.connect(BUS);
  sub.subscribe("heartbeat.", delta, status); // the status last: it comes at once, and proves the others
  for (let book = null, live = false; ; ) {
    const before = book && `${book.epoch} ${book.seq}`;
    const parts = await receive(sub);
    // JSON.parse rounds integers above 2^53: the clocks `ts_…` lose their last digits, `seq` and `epoch` are exact.
    const frame = parts ? JSON.parse(parts[1]) : { type: "silence" };
    const { type, seq } = frame;
    const sameRun = book !== null && frame.epoch === book.epoch;
    if (type === "status" && (frame.channel ?? "book") === "book") {
      console.error(frame.state, frame.reason ?? "", frame.detail ?? "");
      live = frame.state === "live";
      book = null; // live again: connected anew, and deltas may be lost
    } else if (type === "delta" && sameRun && seq <= book.seq) continue; // the snapshot has it already
    else if (type === "delta" && frame.snapshot) book = new Book(frame);
    else if (type === "delta" && sameRun && seq === book.seq + 1) book.put(frame);
    else if (type === "delta" || !sameRun || frame.topics?.[delta] > book.seq) {
      book = null; // deltas were lost, maybe the last ones; the gateway is silent, or is another run
    }
    if (!book && live && type !== "silence" && (before || type !== "delta")) book = await fetchBook(topic);
    if (before !== (book && `${book.epoch} ${book.seq}`)) yield book;
  }
}

let [topic, left = 0, whole] = process.argv.slice(2);
for await (const book of follow(topic)) {
  console.log(book ? book.text(whole) : "book unknown");
  if (book && --left === 0) break;
}
