// mcraw.c - the limit of UDP on this machine, for the program `compare`: multicast from one sender to N receivers, and
// ping-pong. Nothing is repaired or ordered, nobody agrees on anything.
// gcc -O2 -Wall -o mcraw mcraw.c
//
//   mcraw rx   -i IFADDR -p PORT -s SIZE -m plain|mmsg|gro [-c CREDIT_EVERY] -t IDLE_SECS
//   mcraw tx   -i IFADDR -p PORT -s SIZE -m plain|mmsg|gso [-w WINDOW -n RECEIVERS] -t SECS
//   mcraw pong -i ADDR          -p PORT -s SIZE [-b] [-a CORE] -t SECS
//   mcraw ping -i ADDR -d DEST  -p PORT -s SIZE [-b] [-a CORE] -t SECS
//
// With -w the sender keeps at most WINDOW datagrams unacknowledged by the slowest receiver; receivers unicast their
// highest number every CREDIT_EVERY datagrams. -b: never sleep. -a: on this core. The last line is key=value pairs.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define BATCH 64
#define DATAGRAM_MAX 65536
#define RECEIVERS_MAX 64
#define LATENCIES_MAX 4000000
#define END_BYTES 9 // a datagram of so many zeroes ends a run

static const char *interface = "127.0.0.1", *group = "239.9.9.9", *dest = "127.0.0.1";
static const char *mode = "plain";
static int port = 47000, size = 1024, busy, core = -1, credit, window, receivers = 1;
static double secs = 2;

static char buffers[BATCH][DATAGRAM_MAX];
static struct mmsghdr messages[BATCH];
static struct iovec vectors[BATCH];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static double cpu(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return r.ru_utime.tv_sec + r.ru_stime.tv_sec +
           1e-6 * (r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void die(const char *what) {
    perror(what);
    exit(1);
}

static int is_mode(const char *m) { return !strcmp(mode, m); }

static struct sockaddr_in address(const char *ip, int at) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(at)};
    inet_aton(ip, &a.sin_addr);
    return a;
}

static int bound_socket(const char *ip, int at) {
    int s = socket(AF_INET, SOCK_DGRAM, 0), room = 4 << 20, yes = 1;
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(s, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in a = address(ip, at);
    if (bind(s, (void *)&a, sizeof a)) die("bind");
    return s;
}

// ---- multicast: receiver

static uint64_t packets, bytes, highest, calls;
static int ended;

static void take(const char *datagram, int len) {
    uint64_t number;
    memcpy(&number, datagram, sizeof number);
    if (number == 0 && len == END_BYTES) {
        ended = 1;
        return;
    }
    if (number > highest) highest = number;
    packets++;
    bytes += len;
}

static int segment_bytes(struct msghdr *m, int len) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) return *(int *)CMSG_DATA(c);
    return len;
}

// What one call brings; false when nothing comes any more.
static int receive(int s, struct sockaddr_in *source) {
    static char control[256];
    struct msghdr *m = &messages[0].msg_hdr;
    m->msg_name = source;
    m->msg_namelen = sizeof *source;
    if (is_mode("mmsg")) {
        int n = recvmmsg(s, messages, BATCH, MSG_WAITFORONE, 0);
        for (int i = 0; i < n && !ended; i++) take(buffers[i], messages[i].msg_len);
        return n > 0;
    }
    m->msg_control = control;
    m->msg_controllen = sizeof control;
    int n = recvmsg(s, m, 0);
    if (n <= 0) return 0;
    int segment = is_mode("gro") ? segment_bytes(m, n) : n;
    for (int at = 0; at < n && !ended; at += segment)
        take(buffers[0] + at, n - at < segment ? n - at : segment);
    return 1;
}

static int rx(void) {
    int s = bound_socket(group, port), yes = 1;
    struct ip_mreq request;
    inet_aton(group, &request.imr_multiaddr);
    inet_aton(interface, &request.imr_interface);
    if (setsockopt(s, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request)) die("join");
    if (is_mode("gro") && setsockopt(s, IPPROTO_UDP, UDP_GRO, &yes, sizeof yes)) die("gro");
    int back = bound_socket(interface, 0);
    struct timeval patience = {(int)secs + 2, 0};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct sockaddr_in source;
    uint64_t told = 0, id = getpid();
    double start = 0, end = 0, cpu_start = 0;
    printf("ready\n");
    fflush(stdout);
    while (receive(s, &source) && !ended) {
        calls++;
        end = now();
        if (!start) {
            start = end;
            cpu_start = cpu();
        }
        if (credit && highest - told >= (uint64_t)credit) {
            uint64_t word[2] = {id, highest};
            told = highest;
            sendto(back, word, sizeof word, 0, (void *)&source, sizeof source);
        }
    }
    double took = end - start > 0 ? end - start : 1e-9;
    printf("rx pps=%.0f mb_s=%.1f packets=%lu loss_percent=%.3f secs=%.2f per_call=%.1f cpu=%.0f\n",
           packets / took, bytes / took / 1e6, packets,
           highest ? 100.0 * (highest - packets) / highest : 0, took,
           calls ? (double)packets / calls : 0, 100 * (cpu() - cpu_start) / took);
    return 0;
}

// ---- multicast: sender

static struct {
    uint64_t id, highest;
} acks[RECEIVERS_MAX];
static int known;
static uint64_t acked, forced;

static void take_acks(int s) {
    uint64_t word[2];
    while (recv(s, word, sizeof word, MSG_DONTWAIT) == sizeof word) {
        int i = 0;
        while (i < known && acks[i].id != word[0]) i++;
        if (i == RECEIVERS_MAX) continue;
        if (i == known) acks[known++].id = word[0];
        if (word[1] > acks[i].highest) acks[i].highest = word[1];
    }
    if (known < receivers) return;
    acked = UINT64_MAX;
    for (int i = 0; i < known; i++)
        if (acks[i].highest < acked) acked = acks[i].highest;
}

// Waits for room for `count` more; what was lost is given up after a while.
static void wait_for_room(int s, uint64_t sent, int count) {
    double start = now();
    while (sent + count - acked > (uint64_t)window) {
        struct pollfd p = {s, POLLIN, 0};
        if (poll(&p, 1, 20) > 0) {
            take_acks(s);
        } else if (now() - start > 0.2) {
            forced++;
            acked = sent;
            for (int i = 0; i < known; i++)
                if (acks[i].highest < sent) acks[i].highest = sent;
        }
    }
}

static void end_run(int s, struct sockaddr_in *to) {
    char zeroes[END_BYTES] = {0};
    int off = 0;
    usleep(150000);
    if (is_mode("gso")) setsockopt(s, IPPROTO_UDP, UDP_SEGMENT, &off, sizeof off);
    for (int i = 0; i < 3; i++) {
        sendto(s, zeroes, sizeof zeroes, 0, (void *)to, sizeof *to);
        usleep(20000);
    }
}

static int tx(void) {
    int s = bound_socket(interface, 0);
    struct in_addr out;
    inet_aton(interface, &out);
    unsigned char one = 1;
    if (setsockopt(s, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof out)) die("interface");
    setsockopt(s, IPPROTO_IP, IP_MULTICAST_TTL, &one, 1);
    struct sockaddr_in to = address(group, port);
    int count = is_mode("mmsg") ? BATCH : 1;
    if (is_mode("gso")) {
        count = 65000 / size;
        if (count > BATCH) count = BATCH;
        if (count < 1) count = 1;
        if (setsockopt(s, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size)) die("gso");
    }
    char *bodies = &buffers[0][0];
    for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){bodies + (size_t)i * size, size};
        messages[i].msg_hdr.msg_name = &to;
        messages[i].msg_hdr.msg_namelen = sizeof to;
    }
    uint64_t sent = 0, errors = 0;
    double start = now(), cpu_start = cpu();
    for (uint64_t turn = 0; turn & 15 || now() - start < secs; turn++) {
        if (window) wait_for_room(s, sent, count);
        for (int i = 0; i < count; i++) {
            uint64_t number = sent + 1 + i;
            memcpy(bodies + (size_t)i * size, &number, sizeof number);
        }
        if (is_mode("mmsg")) {
            int n = sendmmsg(s, messages, count, 0);
            sent += n > 0 ? n : 0;
            errors += n < 0;
        } else if (sendto(s, bodies, (size_t)count * size, 0, (void *)&to, sizeof to) < 0) {
            if (!errors++) fprintf(stderr, "mcraw: sendto: %s\n", strerror(errno));
        } else {
            sent += count;
        }
    }
    double took = now() - start, spent = cpu() - cpu_start;
    end_run(s, &to);
    printf("tx pps=%.0f mb_s=%.1f packets=%lu batch=%d errors=%lu forced=%lu cpu=%.0f\n",
           sent / took, sent * (double)size / took / 1e6, sent, count, errors, forced,
           100 * spent / took);
    return 0;
}

// ---- ping-pong

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int ping_pong(int is_ping) {
    static double trips[LATENCIES_MAX];
    int s = bound_socket(interface, is_ping ? 0 : port), count = 0;
    int flags = busy ? MSG_DONTWAIT : 0;
    struct timeval patience = {0, 200000};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct sockaddr_in to = address(dest, port);
    if (!is_ping) {
        printf("ready\n");
        fflush(stdout);
    }
    for (double start = now(); now() - start < secs;) {
        if (!is_ping) {
            struct sockaddr_in from;
            socklen_t len = sizeof from;
            int n = recvfrom(s, buffers[0], DATAGRAM_MAX, flags, (void *)&from, &len);
            if (n > 0) sendto(s, buffers[0], n, 0, (void *)&from, len);
            continue;
        }
        double served = now();
        int n;
        sendto(s, buffers[0], size, 0, (void *)&to, sizeof to);
        do n = recv(s, buffers[0], DATAGRAM_MAX, flags);
        while (n < 0 && busy && now() - served < 0.2);
        if (n > 0 && count < LATENCIES_MAX) trips[count++] = now() - served;
    }
    if (!is_ping) return 0;
    if (!count) {
        fprintf(stderr, "mcraw: nothing came back\n");
        return 1;
    }
    qsort(trips, count, sizeof trips[0], ascending);
#define US(q) (trips[(long)(count * (q))] * 1e6)
    printf("ping count=%d min_us=%.2f p50_us=%.2f p90_us=%.2f p99_us=%.2f p999_us=%.2f "
           "max_us=%.2f\n",
           count, US(0), US(0.5), US(0.9), US(0.99), US(0.999), trips[count - 1] * 1e6);
    return 0;
}

int main(int c, char **v) {
    if (c < 2) return 2;
    int o;
    while ((o = getopt(c - 1, v + 1, "i:g:p:s:m:t:bc:w:n:d:a:")) > 0) switch (o) {
        case 'i': interface = optarg; break;
        case 'g': group = optarg; break;
        case 'p': port = atoi(optarg); break;
        case 's': size = atoi(optarg); break;
        case 'm': mode = optarg; break;
        case 't': secs = atof(optarg); break;
        case 'b': busy = 1; break;
        case 'c': credit = atoi(optarg); break;
        case 'w': window = atoi(optarg); break;
        case 'n': receivers = atoi(optarg); break;
        case 'd': dest = optarg; break;
        case 'a': core = atoi(optarg); break;
        default: return 2;
        }
    if (core >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(core, &set);
        if (sched_setaffinity(0, sizeof set, &set)) die("core");
    }
    for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){buffers[i], DATAGRAM_MAX};
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    if (!strcmp(v[1], "rx")) return rx();
    if (!strcmp(v[1], "tx")) return tx();
    if (!strcmp(v[1], "ping")) return ping_pong(1);
    if (!strcmp(v[1], "pong")) return ping_pong(0);
    return 2;
}
