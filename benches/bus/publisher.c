/* The yardstick of the bus benchmark: a libzmq PUB socket that does exactly what publish.rs does with ours.
 *
 * usage: publisher FRAMES SIZE WINDOW RATE      RATE 0: as fast as the window allows
 * Prints the endpoint. Then sends frames of number 0 until stdin says that all are subscribed, then FRAMES frames, never
 * more than WINDOW ahead of what stdin says; see sink.c. At the end: `cpu NS wall NS`. */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define TOPIC "trade.bybit.linear.BTCUSDT."
#define PROBE_NS 1000000
#define PAUSE_NS 20000

static void *bus;
static char *payload;
static size_t size;

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static void pause_ns(long ns) {
    struct timespec pause = {0, ns};
    nanosleep(&pause, NULL);
}

static void publish(uint64_t number) {
    uint64_t head[2] = {number, clock_ns(CLOCK_MONOTONIC)};
    memcpy(payload, head, sizeof head);
    if (zmq_send(bus, TOPIC, sizeof TOPIC - 1, ZMQ_SNDMORE) < 0 || zmq_send(bus, payload, size, 0) < 0) exit(1);
}

static uint64_t hear(void) {
    uint64_t number;
    if (read(STDIN_FILENO, &number, sizeof number) != sizeof number) exit(1);
    return number;
}

static int is_told(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) == 1;
}

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    uint64_t frames = strtoull(argv[1], NULL, 10), window = strtoull(argv[3], NULL, 10);
    uint64_t rate = strtoull(argv[4], NULL, 10);
    size = strtoull(argv[2], NULL, 10);
    payload = malloc(size);
    memset(payload, 'x', size);
    void *context = zmq_ctx_new();
    bus = zmq_socket(context, ZMQ_PUB);
    int queue = 200000;
    char endpoint[128];
    size_t room = sizeof endpoint;
    zmq_setsockopt(bus, ZMQ_SNDHWM, &queue, sizeof queue);
    if (zmq_bind(bus, "tcp://127.0.0.1:*") != 0) return 1;
    zmq_getsockopt(bus, ZMQ_LAST_ENDPOINT, endpoint, &room);
    puts(endpoint);
    fflush(stdout);
    while (!is_told()) {
        publish(0);
        pause_ns(PROBE_NS);
    }
    hear();
    uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), start = clock_ns(CLOCK_MONOTONIC), sent = 0, heard = 0;
    while (sent < frames) {
        uint64_t due = frames;
        if (rate) {
            due = (uint64_t)((unsigned __int128)(clock_ns(CLOCK_MONOTONIC) - start) * rate / 1000000000ULL);
            if (due > frames) due = frames;
        }
        for (; sent < due; publish(++sent))
            while (sent - heard >= window) heard = hear();
        if (rate) pause_ns(PAUSE_NS);
    }
    while (heard < frames) heard = hear();
    printf("cpu %llu wall %llu\n", (unsigned long long)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu),
           (unsigned long long)(clock_ns(CLOCK_MONOTONIC) - start));
    return 0;
}
