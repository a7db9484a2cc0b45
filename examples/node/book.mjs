// Keeps one order book: joins the delta stream to a snapshot, checks every sequence, and heals by itself.
//
//     npm install
//     node book.mjs book.bybit.linear.BTCUSDT. [CHANGES]
//
// Prints the best bid and ask after each change; docs/WIRE.md explains every step.
import { Request, Subscriber } from "zeromq";

const BUS = process.env.TICKBUS_BUS ?? "tcp://127.0.0.1:5555";
const SNAPSHOT = process.env.TICKBUS_SNAPSHOT ?? "tcp://127.0.0.1:5556";
const [TOPIC, CHANGES] = process.argv.slice(2);

// JSON.parse rounds integers above 2^53, so `ts_…` lose their last three digits. `seq` and `epoch` are exact.
const read = (payload) => JSON.parse(payload.toString());
// 0.10 and 0.1 are the same level.
const key = (price) => (price.includes(".") ? price.replace(/\.?0+$/, "") : price);

/** Levels by price, and the place in the delta stream they belong to. */
class Book {
  constructor(frame, seq) {
    this.epoch = frame.epoch;
    this.seq = seq;
    this.bids = new Map();
    this.asks = new Map();
    this.put(frame);
  }

  put(frame) {
    for (const side of ["bids", "asks"]) {
      for (const [price, size] of frame[side]) {
        if (Number(size) === 0) this[side].delete(key(price));
        else this[side].set(key(price), [price, size]);
      }
    }
  }

  toString() {
    const best = (side, sign) =>
      [...side.values()].reduce((a, b) => (a && sign * (Number(a[0]) - Number(b[0])) >= 0 ? a : b), null);
    const text = (level) => (level ? level.join(" x ") : "none");
    return `${String(this.seq).padStart(8)}  ${text(best(this.bids, 1))}  |  ${text(best(this.asks, -1))}`;
  }
}

/** The whole book as it is now, or null if it is not live. */
async function fetchBook() {
  const request = new Request({ linger: 0, receiveTimeout: 2000 });
  request.connect(SNAPSHOT);
  try {
    await request.send(JSON.stringify({ op: "snapshot", topic: TOPIC }));
    const parts = await request.receive();
    const frame = read(parts.at(-1));
    if (parts.length === 2) return new Book(frame, frame.delta_seq);
    console.error("no snapshot:", frame.error);
  } catch (error) {
    if (error.code !== "EAGAIN") throw error;
  } finally {
    request.close();
  }
  return null;
}

// Deltas wait in the socket while the snapshot is fetched. A heartbeat comes each second, so the timeout is never
// reached while the gateway lives. The status comes last: the gateway answers it at once, and by then the deltas are
// subscribed to.
const sub = new Subscriber({ receiveHighWaterMark: 100_000, receiveTimeout: 5000 });
sub.connect(BUS);
sub.subscribe("heartbeat.", TOPIC.replace("book.", "delta."), TOPIC.replace("book.", "status."));

let book = null;
for (let left = CHANGES ? Number(CHANGES) : Infinity; left > 0; ) {
  const parts = await sub.receive().catch((error) => {
    if (error.code !== "EAGAIN") throw error;
  });
  if (!parts) {
    console.error("the gateway is silent: book unknown");
    book = null;
    continue;
  }
  const frame = read(parts[1]);
  if (frame.type === "status" && (frame.channel ?? "book") === "book") {
    // Live: it begins, it healed, or we are connected again and may have missed deltas. Ask in every case.
    console.error("status:", frame.state, frame.reason ?? "", frame.detail ?? "");
    book = frame.state === "live" ? await fetchBook() : null;
  } else if (frame.type === "delta") {
    const sameRun = book !== null && frame.epoch === book.epoch;
    if (sameRun && frame.seq <= book.seq) continue; // the snapshot has it already
    if (frame.snapshot) book = new Book(frame, frame.seq);
    else if (sameRun && frame.seq === book.seq + 1) {
      book.put(frame);
      book.seq = frame.seq;
    } else if (book !== null) book = await fetchBook(); // deltas were lost, or this is another run
    if (book !== null) {
      console.log(String(book));
      left -= 1;
    }
  }
}
sub.close();
