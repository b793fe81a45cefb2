/*
 * Sends datagrams to a UDP socket at an even pace: statsd_sender FILE HOST PORT RATE COUNT
 * or at the pace of a recording: statsd_sender FILE HOST PORT SPEED COUNT PAUSES
 *
 * FILE holds the datagrams, each behind its length in two bytes (little endian); they are sent in turn, from the first
 * again after the last. RATE is in datagrams a second, 0 for as fast as it goes. What is due is sent every 200
 * microseconds, in batches, so that an even rate is also a realistic one for the receive buffer.
 * PAUSES holds the milliseconds before each datagram, in two bytes (little endian); they pass SPEED times as fast.
 * Prints how many datagrams and how many lines were sent, and in how many seconds.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define TICK 200000L
#define LAG 0.002

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double now(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (double)moment.tv_sec + (double)moment.tv_nsec / 1e9;
}

/* One tick, or half of what passes between two datagrams where they are rare: the sender needs CPU, too. */
static void rest(double rate) {
    long half = (long)(5e8 / (rate + 1));
    struct timespec pause = {0, half > TICK ? half : TICK};
    nanosleep(&pause, NULL);
}

static int connect_to(const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int sender = socket(AF_INET, SOCK_DGRAM, 0);
    if (sender < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1) fail("socket");
    if (connect(sender, (struct sockaddr *)&address, sizeof address)) fail("connect");
    return sender;
}

static unsigned char *map_file(const char *path, size_t *size) {
    struct stat status;
    int file = open(path, O_RDONLY);
    if (file < 0 || fstat(file, &status)) fail(path);
    *size = (size_t)status.st_size;
    unsigned char *data = mmap(NULL, *size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (data == MAP_FAILED) fail("mmap");
    return data;
}

static long count_lines(const unsigned char *text, size_t length) {
    long lines = 1;
    for (size_t place = 0; place + 1 < length; place++) lines += text[place] == '\n';
    return lines;
}

/* Sends up to `due` datagrams in one call; returns how many, having moved `place` on. */
static int send_batch(int sender, const unsigned char *data, size_t size, size_t *place, long due, long *lines) {
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    int many = due < BATCH ? (int)due : BATCH;
    memset(messages, 0, sizeof messages);
    for (int each = 0; each < many; each++) {
        size_t length = data[*place] | (size_t)data[*place + 1] << 8;
        pieces[each] = (struct iovec){(void *)(data + *place + 2), length};
        messages[each].msg_hdr.msg_iov = &pieces[each];
        messages[each].msg_hdr.msg_iovlen = 1;
        *lines += count_lines(data + *place + 2, length);
        *place += 2 + length;
        if (*place >= size) *place = 0;
    }
    for (int done = 0; done < many;) {
        int sent = sendmmsg(sender, messages + done, (unsigned)(many - done), 0);
        if (sent > 0) done += sent;
        else if (errno != ECONNREFUSED && errno != ENOBUFS && errno != EINTR) fail("sendmmsg");
    }
    return many;
}

/* Sends each datagram when it is due by its recorded pause. */
static long send_recorded(int sender, const unsigned char *data, size_t size, double speed, long count,
                          const unsigned char *pauses, size_t pauses_size) {
    size_t place = 0;
    double due = now();
    long lines = 0;
    for (long each = 0; each < count; each++) {
        size_t at = (size_t)each * 2 % pauses_size;
        due += (pauses[at] | pauses[at + 1] << 8) / 1000.0 / speed;
        for (double left = due - now(); left > 0; left = due - now()) {
            struct timespec pause = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
            nanosleep(&pause, NULL);
        }
        send_batch(sender, data, size, &place, 1, &lines);
    }
    return lines;
}

int main(int argc, char **argv) {
    if (argc != 6 && argc != 7) {
        fprintf(stderr, "usage: statsd_sender FILE HOST PORT RATE COUNT [PAUSES]\n");
        return 2;
    }
    size_t size, place = 0;
    const unsigned char *data = map_file(argv[1], &size);
    int sender = connect_to(argv[2], atoi(argv[3]));
    double rate = atof(argv[4]), started = now(), began = started;
    long count = atol(argv[5]), sent = 0, lines = 0;
    if (argc == 7) {
        size_t pauses_size;
        const unsigned char *pauses = map_file(argv[6], &pauses_size);
        lines = send_recorded(sender, data, size, rate, count, pauses, pauses_size);
        sent = count;
    }
    while (sent < count) {
        long due = rate > 0 ? (long)((now() - began) * rate) + 1 - sent : count - sent;
        if (rate > 0 && due > rate * LAG + BATCH) {
            /* The sender itself was kept waiting: a burst that makes up for it would be no even pace. */
            began += ((double)due - rate * LAG - BATCH) / rate;
            due = (long)(rate * LAG) + BATCH;
        }
        if (due > count - sent) due = count - sent;
        if (due > 0) sent += send_batch(sender, data, size, &place, due, &lines);
        else rest(rate);
    }
    printf("%ld %ld %.6f\n", sent, lines, now() - started);
    return 0;
}
