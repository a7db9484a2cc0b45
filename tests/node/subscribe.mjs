// Subscribes to everything and prints each frame as `topic payload`. After the first trade it unsubscribes from all but
// `book.`, and then subscribes to `mark.`. Argument: endpoint.
import { Subscriber } from "zeromq";

const sub = new Subscriber({ heartbeatInterval: 200, heartbeatTimeout: 2000 });
sub.connect(process.argv[2]);
sub.subscribe("");
for await (const [topic, payload] of sub) {
  console.log(`${topic} ${payload}`);
  if (String(topic).startsWith("trade.")) {
    sub.subscribe("book.", "book.");
    sub.unsubscribe("book.", "");
    sub.subscribe("mark.");
  }
}
