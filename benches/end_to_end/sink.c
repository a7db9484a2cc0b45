/* A libzmq subscriber that counts: it takes every frame of the bus, checks each topic's sequence, and at the end prints
 * `topic frames gaps` per topic, `last NS` for the last frame's arrival, and (with a third argument) to that file
 * `topic seq NS` per frame of the stream. Times are of CLOCK_MONOTONIC.
 *
 * usage: sink ENDPOINT IDLE_MS [FILE]      prints `ready` with the first frame; ends after IDLE_MS without one */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#define TOPICS_MAX 256
#define TOPIC_MAX 64

struct topic {
    char name[TOPIC_MAX];
    size_t length;
    unsigned long long seq, frames, gaps;
};

struct arrival {
    unsigned topic;
    unsigned long long seq, at;
};

static struct topic topics[TOPICS_MAX];
static unsigned topic_count;
static struct arrival *arrivals;
static size_t arrival_count, arrival_room;

static unsigned long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * 1000000000ULL + (unsigned long long)now.tv_nsec;
}

/* The topic's place; found fast because streams mostly come from few topics. */
static unsigned place_of(const char *name, size_t length) {
    for (unsigned at = 0; at < topic_count; at++)
        if (topics[at].length == length && memcmp(topics[at].name, name, length) == 0) return at;
    if (topic_count == TOPICS_MAX || length >= TOPIC_MAX) {
        fprintf(stderr, "sink: more topics, or longer ones, than expected\n");
        exit(1);
    }
    memcpy(topics[topic_count].name, name, length);
    topics[topic_count].length = length;
    return topic_count++;
}

static unsigned long long seq_of(const char *payload, size_t size) {
    const char *key = memmem(payload, size, "\"seq\":", 6);
    return key ? strtoull(key + 6, NULL, 10) : 0;
}

static void keep_arrival(unsigned topic, unsigned long long seq, unsigned long long at) {
    if (arrival_count == arrival_room) {
        arrival_room = arrival_room ? arrival_room * 2 : 1 << 20;
        arrivals = realloc(arrivals, arrival_room * sizeof *arrivals);
        if (!arrivals) exit(1);
    }
    arrivals[arrival_count++] = (struct arrival){topic, seq, at};
}

/* One frame; returns whether it belongs to the stream (heartbeats do not). */
static int take(zmq_msg_t *name, zmq_msg_t *payload, int keep, unsigned long long *last) {
    const char *text = zmq_msg_data(name);
    if (strncmp(text, "heartbeat.", 10) == 0) return 0;
    unsigned at = place_of(text, zmq_msg_size(name));
    unsigned long long seq = seq_of(zmq_msg_data(payload), zmq_msg_size(payload));
    struct topic *topic = &topics[at];
    if (topic->frames && seq != topic->seq + 1) topic->gaps++;
    topic->seq = seq;
    topic->frames++;
    *last = now_ns();
    if (keep) keep_arrival(at, seq, *last);
    return 1;
}

static void report(const char *file, unsigned long long last) {
    for (unsigned at = 0; at < topic_count; at++)
        printf("%.*s %llu %llu\n", (int)topics[at].length, topics[at].name, topics[at].frames, topics[at].gaps);
    printf("last %llu\n", last);
    FILE *out = file ? fopen(file, "w") : NULL;
    for (size_t at = 0; out && at < arrival_count; at++) {
        struct topic *topic = &topics[arrivals[at].topic];
        fprintf(out, "%.*s %llu %llu\n", (int)topic->length, topic->name, arrivals[at].seq, arrivals[at].at);
    }
    if (out) fclose(out);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    const char *file = argc > 3 ? argv[3] : NULL;
    void *context = zmq_ctx_new(), *socket = zmq_socket(context, ZMQ_SUB);
    int unbounded = 0, idle_ms = atoi(argv[2]), started = 0;
    zmq_setsockopt(socket, ZMQ_RCVHWM, &unbounded, sizeof unbounded);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &idle_ms, sizeof idle_ms);
    zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
    if (zmq_connect(socket, argv[1]) != 0) return 1;
    unsigned long long last = now_ns();
    zmq_msg_t name, payload;
    zmq_msg_init(&name);
    zmq_msg_init(&payload);
    while (zmq_msg_recv(&name, socket, 0) >= 0 && zmq_msg_recv(&payload, socket, 0) >= 0) {
        if (!started++) {
            puts("ready");
            fflush(stdout);
        }
        /* A heartbeat comes every second, so that it alone must not keep the sink waiting. */
        if (!take(&name, &payload, file != NULL, &last) && now_ns() - last > (unsigned long long)idle_ms * 1000000ULL) break;
    }
    report(file, last);
    zmq_close(socket);
    zmq_ctx_term(context);
    return 0;
}
