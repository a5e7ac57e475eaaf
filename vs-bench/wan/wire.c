// wire.c - long wires between sites, in user space, for the program `wan`: kernels without netem have no other way.
// gcc -O2 -Wall -o wire wire.c
//
//   wire SEED JITTER_PERMILLE LOSS_PER_100000 MATRIX SITES
//
// Runs where the other ends of the sites' interfaces are, v1 to vSITES, until SIGTERM. MATRIX has a row for each site:
// the least delay from it to each, in µs, all separated by commas. A frame of IPv4 is taken up, put off by that and up to
// JITTER_PERMILLE of it more, drawn for each frame and each receiver, and put out; a multicast to all other sites. So
// datagrams overtake each other. Segments of TCP do not, as in a queue: from one site to another they keep their order.
// Each frame is lost with the same chance, whatever is in it. The last byte of a unicast address is the number of its site.
// The last line says how many were carried and lost, and how late they were put out.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SITES_MAX 8
#define FRAME_MAX 1600
#define HELD_MAX 65536
#define LATE_US_MAX 10000

struct held {
    uint64_t due, number;
    int to, len;
    unsigned char *frame;
};

static struct held heap[HELD_MAX];
static size_t held;
static uint64_t numbers, rng, carried, lost, overrun, late[LATE_US_MAX + 1];
static uint64_t delay_us[SITES_MAX][SITES_MAX], last_tcp[SITES_MAX][SITES_MAX];
static int sites, sockets[SITES_MAX];
static uint64_t jitter_permille, loss;
static volatile sig_atomic_t ended;

static void die(const char *what) {
    fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void end(int signal) {
    (void)signal;
    ended = 1;
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// splitmix64
static uint64_t below(uint64_t bound) {
    uint64_t z = (rng += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return (z ^ (z >> 31)) % bound;
}

static int before(const struct held *a, const struct held *b) {
    return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static void hold(struct held one) {
    size_t i = held++;
    for (; i > 0 && before(&one, &heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = one;
}

static struct held first(void) {
    struct held top = heap[0], last = heap[--held];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < held && before(&heap[child + 1], &heap[child]))
            child++;
        if (child >= held || !before(&heap[child], &last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

// To one site, unless it is lost.
static void put_off(uint64_t now, int from, int to, const unsigned char *frame, int len) {
    if (below(100000) < loss) {
        lost++;
        return;
    }
    if (held == HELD_MAX) {
        overrun++;
        return;
    }
    uint64_t least = delay_us[from][to] * 1000;
    uint64_t due = now + least + below(least * jitter_permille / 1000 + 1);
    if (frame[ETH_HLEN + 9] == IPPROTO_TCP) {
        if (due <= last_tcp[from][to])
            due = last_tcp[from][to] + 1;
        last_tcp[from][to] = due;
    }
    unsigned char *copy = malloc(len);
    if (!copy)
        die("memory");
    memcpy(copy, frame, len);
    hold((struct held){.due = due, .number = numbers++, .to = to, .len = len, .frame = copy});
}

static void take_up(int from) {
    unsigned char frame[FRAME_MAX];
    for (;;) {
        int len = recv(sockets[from], frame, sizeof frame, MSG_DONTWAIT | MSG_TRUNC);
        if (len < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (len < 0)
            die("recv");
        if (len > FRAME_MAX) {
            fprintf(stderr, "wire: a frame of %d bytes: offloads of the sites must be off\n", len);
            exit(1);
        }
        int is_ip = len >= ETH_HLEN + 20 && frame[12] == 8 && frame[13] == 0;
        uint64_t now = now_ns();
        for (int to = 0; is_ip && to < sites; to++)
            if (to != from && ((frame[0] & 1) || frame[5] == to + 1))
                put_off(now, from, to, frame, len);
    }
}

static void put_out(uint64_t now) {
    while (held > 0 && heap[0].due <= now) {
        struct held one = first();
        uint64_t us = (now - one.due) / 1000;
        late[us < LATE_US_MAX ? us : LATE_US_MAX]++;
        carried++;
        if (send(sockets[one.to], one.frame, one.len, 0) < 0 && errno != ENOBUFS)
            die("send");
        free(one.frame);
    }
}

static uint64_t late_us(double share) {
    uint64_t sum = 0;
    for (int us = 0; us <= LATE_US_MAX; us++)
        if ((sum += late[us]) >= carried * share)
            return us;
    return LATE_US_MAX;
}

static int open_end(int k) {
    char name[16];
    snprintf(name, sizeof name, "v%d", k);
    int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, bytes = 4 << 20;
    if (fd < 0)
        die("socket");
    // Else what is put out would come back as taken up.
    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one) < 0)
        die("PACKET_IGNORE_OUTGOING");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    struct sockaddr_ll at = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ETH_P_ALL),
        .sll_ifindex = if_nametoindex(name),
    };
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        die(name);
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr, "wire SEED JITTER_PERMILLE LOSS_PER_100000 MATRIX SITES\n");
        return 2;
    }
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGTERM, end);
    signal(SIGINT, end);
    rng = strtoull(argv[1], 0, 10);
    jitter_permille = strtoull(argv[2], 0, 10);
    loss = strtoull(argv[3], 0, 10);
    sites = atoi(argv[5]);
    if (sites < 2 || sites > SITES_MAX) {
        fprintf(stderr, "wire: 2 to %d sites\n", SITES_MAX);
        return 2;
    }
    char *rest = argv[4];
    for (int i = 0; i < sites * sites; i++) {
        delay_us[i / sites][i % sites] = strtoull(rest, &rest, 10);
        rest += *rest == ',';
    }
    struct pollfd polls[SITES_MAX];
    for (int k = 0; k < sites; k++) {
        sockets[k] = open_end(k + 1);
        polls[k] = (struct pollfd){.fd = sockets[k], .events = POLLIN};
    }
    printf("ready\n");
    fflush(stdout);
    while (!ended) {
        uint64_t now = now_ns();
        put_out(now);
        uint64_t wait = held == 0 ? 100000000 : heap[0].due > now ? heap[0].due - now : 0;
        struct timespec t = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
        if (ppoll(polls, sites, &t, 0) < 0 && errno != EINTR)
            die("poll");
        for (int k = 0; k < sites; k++)
            if (polls[k].revents & POLLIN)
                take_up(k);
    }
    printf("carried=%lu lost=%lu overrun=%lu late_us_p50=%lu late_us_p99=%lu late_us_max=%lu\n", carried, lost,
           overrun, late_us(0.5), late_us(0.99), late_us(1.0));
    return 0;
}
