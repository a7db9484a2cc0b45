/* The subscribers of the bus benchmark. All of them read everything, check that no frame is missing, and tell the
 * publisher how far the slowest of them is, so that it never outruns its queues and nothing need be dropped.
 *
 * usage: sink ENDPOINT zmq|raw SUBSCRIBERS PREFIXES FRAMES [FILE]
 *   zmq       one libzmq SUB socket each, read by one thread (only sensible for a few)
 *   raw       one TCP connection each that speaks just enough ZMTP: so cheap that the publisher is what is measured
 *   PREFIXES  subscriptions of each; one of them matches
 *   FRAMES    end after the frame of this number
 *   FILE      gets each frame's nanoseconds from sending to receipt, as little-endian 64-bit integers (zmq only)
 *
 * A payload begins with the frame's number and the time of sending (CLOCK_MONOTONIC), as two 64-bit integers. Frames of
 * number 0 only show that the subscription works. Written to stdout, as 64-bit integers: 0 once all are subscribed,
 * then every so often the number of the frame that all have. On stderr, at the end: `lost N`. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define TOPIC "trade.bybit.linear.BTCUSDT."
#define SUBSCRIBERS_MAX 256
#define BUFFER (256 * 1024)
/* Frames between two words to the publisher. */
#define WORD_EVERY 250

static int count, prefixes, ready;
static uint64_t last[SUBSCRIBERS_MAX], lost, frames, told;
static char subscribed[SUBSCRIBERS_MAX];
static uint64_t *latencies;

static void die(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static void tell(uint64_t number) {
    if (write(STDOUT_FILENO, &number, sizeof number) != sizeof number) exit(0);
}

/* One frame's payload has come to one subscriber. */
static void take(int who, const char *payload, size_t size) {
    uint64_t head[2];
    if (size < sizeof head) die("a payload too short");
    memcpy(head, payload, sizeof head);
    if (head[0] == 0) {
        if (!subscribed[who]) {
            subscribed[who] = 1;
            if (++ready == count) tell(0);
        }
        return;
    }
    lost += head[0] - last[who] - 1;
    last[who] = head[0];
    if (latencies) latencies[head[0] - 1] = now_ns() - head[1];
}

/* Tells the publisher if the slowest has come far enough; returns whether all are through. */
static int report(void) {
    uint64_t least = last[0];
    for (int who = 1; who < count; who++)
        if (last[who] < least) least = last[who];
    if (least >= told + WORD_EVERY || (least == frames && told < frames)) tell(told = least);
    return least >= frames;
}

static size_t prefix_of(int at, char *out, size_t room) {
    if (at == 0) return (size_t)snprintf(out, room, "%s", TOPIC);
    return (size_t)snprintf(out, room, "trade.bybit.linear.SYMBOL%dUSDT.", at);
}

/* libzmq subscribers. */

static void *zmq_subscriber(void *context, const char *endpoint) {
    void *socket = zmq_socket(context, ZMQ_SUB);
    int unbounded = 0;
    char prefix[64];
    zmq_setsockopt(socket, ZMQ_RCVHWM, &unbounded, sizeof unbounded);
    for (int at = prefixes - 1; at >= 0; at--)
        if (zmq_setsockopt(socket, ZMQ_SUBSCRIBE, prefix, prefix_of(at, prefix, sizeof prefix)) != 0) die("subscribe");
    if (zmq_connect(socket, endpoint) != 0) die("connect");
    return socket;
}

/* Takes what is there, up to one word's worth. */
static void zmq_drain(int who, void *socket) {
    zmq_msg_t part;
    for (int n = 0; n < WORD_EVERY; n++) {
        zmq_msg_init(&part);
        if (zmq_msg_recv(&part, socket, ZMQ_DONTWAIT) < 0) return;
        if (zmq_msg_recv(&part, socket, 0) < 0) die("recv");
        take(who, zmq_msg_data(&part), zmq_msg_size(&part));
        zmq_msg_close(&part);
    }
}

static void run_zmq(const char *endpoint) {
    void *context = zmq_ctx_new();
    static zmq_pollitem_t items[SUBSCRIBERS_MAX];
    for (int who = 0; who < count; who++)
        items[who] = (zmq_pollitem_t){.socket = zmq_subscriber(context, endpoint), .events = ZMQ_POLLIN};
    while (!report()) {
        if (zmq_poll(items, count, -1) < 0) die("poll");
        for (int who = 0; who < count; who++)
            if (items[who].revents & ZMQ_POLLIN) zmq_drain(who, items[who].socket);
    }
}

/* Raw subscribers. */

struct raw {
    int fd;
    size_t filled;
    unsigned char buffer[BUFFER];
};

static void put(int fd, const void *bytes, size_t size) {
    if (write(fd, bytes, size) != (ssize_t)size) die("write");
}

static void get(int fd, void *bytes, size_t size) {
    if (recv(fd, bytes, size, MSG_WAITALL) != (ssize_t)size) die("recv");
}

/* Greeting of ZMTP 3.0 with NULL, READY of a SUB socket, and the subscriptions as messages. Step by step: libzmq may
 * leave lying what comes together with READY. */
static void raw_open(struct raw *raw, const char *endpoint) {
    static const unsigned char ready_command[] = "\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB";
    unsigned char greeting[64] = {0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64], message[2 + 255];
    int port = 0;
    if (sscanf(endpoint, "tcp://%63[0-9.]:%d", host, &port) != 2) die("endpoint");
    address.sin_port = htons((uint16_t)port);
    inet_pton(AF_INET, host, &address.sin_addr);
    raw->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (raw->fd < 0 || connect(raw->fd, (struct sockaddr *)&address, sizeof address) != 0) die("connect");
    put(raw->fd, greeting, sizeof greeting);
    get(raw->fd, greeting, sizeof greeting);
    put(raw->fd, ready_command, sizeof ready_command - 1);
    /* Its READY: a short command frame. */
    get(raw->fd, message, 2);
    get(raw->fd, message + 2, (unsigned char)message[1]);
    for (int at = prefixes - 1; at >= 0; at--) {
        size_t size = prefix_of(at, message + 3, sizeof message - 3);
        message[0] = 0;
        message[1] = (char)(size + 1);
        message[2] = 1;
        put(raw->fd, message, size + 3);
    }
}

/* The length of the frame's header and of its body; 0 if the header is not all there. */
static size_t header_of(const unsigned char *at, size_t size, uint64_t *body) {
    if (size < 2) return 0;
    if (!(at[0] & 2)) {
        *body = at[1];
        return 2;
    }
    if (size < 9) return 0;
    *body = 0;
    for (int byte = 1; byte < 9; byte++) *body = *body << 8 | at[byte];
    return 9;
}

static void raw_parse(int who, struct raw *raw) {
    size_t at = 0;
    for (;;) {
        uint64_t body;
        size_t header = header_of(raw->buffer + at, raw->filled - at, &body);
        if (!header || raw->filled - at < header + body) break;
        int flags = raw->buffer[at];
        if (!(flags & 5)) take(who, (char *)raw->buffer + at + header, body);
        at += header + body;
    }
    memmove(raw->buffer, raw->buffer + at, raw->filled - at);
    raw->filled -= at;
}

static void run_raw(const char *endpoint) {
    int poll = epoll_create1(0);
    struct raw *raws = calloc((size_t)count, sizeof *raws);
    struct epoll_event events[64];
    for (int who = 0; who < count; who++) {
        raw_open(&raws[who], endpoint);
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)who};
        epoll_ctl(poll, EPOLL_CTL_ADD, raws[who].fd, &event);
    }
    while (!report()) {
        int found = epoll_wait(poll, events, 64, -1);
        for (int n = 0; n < found; n++) {
            struct raw *raw = &raws[events[n].data.u32];
            ssize_t got = recv(raw->fd, raw->buffer + raw->filled, BUFFER - raw->filled, MSG_DONTWAIT);
            if (got == 0) exit(0);
            if (got < 0) continue;
            raw->filled += (size_t)got;
            raw_parse((int)events[n].data.u32, raw);
        }
    }
}

int main(int argc, char **argv) {
    if (argc < 6) return 2;
    count = atoi(argv[3]);
    prefixes = atoi(argv[4]);
    frames = strtoull(argv[5], NULL, 10);
    if (count < 1 || count > SUBSCRIBERS_MAX) return 2;
    if (argc > 6) latencies = calloc(frames, sizeof *latencies);
    if (strcmp(argv[2], "zmq") == 0) run_zmq(argv[1]);
    else run_raw(argv[1]);
    if (latencies) {
        FILE *out = fopen(argv[6], "w");
        if (!out || fwrite(latencies, sizeof *latencies, frames, out) != frames || fclose(out) != 0) die(argv[6]);
    }
    fprintf(stderr, "lost %llu\n", (unsigned long long)lost);
    return 0;
}
