// cpg_bench.c - a client of Corosync's closed process groups, one process a member, for the program `compare`.
// gcc -O2 -Wall -o cpg_bench cpg_bench.c -lcpg
//
//   cpg_bench -M tput  -n N -s SIZE -t SECS -k INDEX -S SENDERS
//       Members with INDEX < SENDERS send as fast as Corosync accepts. -b BURST: messages that are
//       offered between two dispatches (default 2000; 32 under-drives the daemon at small sizes).
//   cpg_bench -M lat   -n N -s SIZE -t SECS -k INDEX -i GAP_US
//       Member INDEX 0 sends a message each GAP_US; all measure how long it takes to arrive.
//   cpg_bench -M watch -n N -t SECS -k INDEX
//       Every change of the group, with the time in ns of UNIX time.
//
// The last line (in `watch`: every line) is key=value pairs.
#define _GNU_SOURCE
#include <corosync/cpg.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { READY = 1, DATA, DONE };

struct header {
    uint32_t kind, index;
    double time;
    uint64_t seq;
};

#define MEMBERS_MAX 64
#define LATENCIES_MAX 2000000

static const char *mode = "tput";
static const char *group = "bench";
static int burst = 2000, want = 2, size = 1024, own, senders = 1, gap_us = 2000;
static double secs = 3;

static cpg_handle_t handle;
static struct cpg_name name;
static int fd;
static int members, ready, done, gaps;
static uint64_t data, bytes, sent, refused, next_seq[MEMBERS_MAX];
static double first, last, joining, cpu_first;
static double *latencies;
static int latency_count;
static char buffer[1 << 20];

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static uint64_t unix_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double cpu(void) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return r.ru_utime.tv_sec + r.ru_stime.tv_sec +
           1e-6 * (r.ru_utime.tv_usec + r.ru_stime.tv_usec);
}

static void die(const char *what, int error) {
    fprintf(stderr, "cpg_bench: %s: error %d\n", what, error);
    exit(1);
}

static int is_mode(const char *m) { return !strcmp(mode, m); }

static void deliver(cpg_handle_t h, const struct cpg_name *g, uint32_t node, uint32_t pid,
                    void *message, size_t len) {
    (void)h, (void)g, (void)node, (void)pid;
    struct header *m = message;
    if (m->kind == READY) {
        if (++ready == want) {
            first = last = now();
            cpu_first = cpu();
        }
        return;
    }
    if (m->kind == DONE) {
        done++;
        return;
    }
    data++;
    bytes += len;
    last = now();
    if (m->index < MEMBERS_MAX) {
        if (m->seq != next_seq[m->index]) gaps++;
        next_seq[m->index] = m->seq + 1;
    }
    if (latencies && latency_count < LATENCIES_MAX) latencies[latency_count++] = last - m->time;
}

static void change(cpg_handle_t h, const struct cpg_name *g, const struct cpg_address *list,
                   size_t count, const struct cpg_address *left_list, size_t left,
                   const struct cpg_address *joined_list, size_t joined) {
    (void)h, (void)g, (void)list, (void)left_list, (void)joined_list;
    members = count;
    if (is_mode("watch")) {
        printf("change member=%d ts=%lu members=%zu left=%zu joined=%zu since_join_us=%.0f\n", own,
               unix_ns(), count, left, joined, (now() - joining) * 1e6);
        fflush(stdout);
    }
}

static void pump(int ms) {
    if (ms) {
        struct pollfd p = {fd, POLLIN, 0};
        poll(&p, 1, ms);
    }
    cs_error_t e = cpg_dispatch(handle, CS_DISPATCH_ALL);
    if (e != CS_OK && e != CS_ERR_TRY_AGAIN) die("dispatch", e);
}

static cs_error_t offer(size_t len) {
    struct iovec v = {buffer, len};
    return cpg_mcast_joined(handle, CPG_TYPE_AGREED, &v, 1);
}

static void send_surely(size_t len) {
    cs_error_t e;
    while ((e = offer(len)) == CS_ERR_TRY_AGAIN) pump(1);
    if (e != CS_OK) die("mcast", e);
}

static void join(void) {
    cpg_callbacks_t calls = {.cpg_deliver_fn = deliver, .cpg_confchg_fn = change};
    cs_error_t e;
    double start = now();
    while ((e = cpg_initialize(&handle, &calls)) == CS_ERR_TRY_AGAIN && now() - start < 10)
        usleep(2000);
    if (e != CS_OK) die("initialize", e);
    name.length = strlen(group);
    memcpy(name.value, group, name.length);
    joining = now();
    while ((e = cpg_join(handle, &name)) == CS_ERR_TRY_AGAIN && now() - joining < 10) usleep(1000);
    if (e != CS_OK) die("join", e);
    cpg_fd_get(handle, &fd);
}

static void leave(void) {
    cpg_leave(handle, &name);
    cpg_finalize(handle);
}

static void send_at_a_rate(struct header *m, double end) {
    double next = now(), wait;
    while (next < end) {
        m->time = now();
        send_surely(size);
        m->seq++;
        sent++;
        next += gap_us * 1e-6;
        while ((wait = next - now()) > 0) {
            struct pollfd p = {fd, POLLIN, 0};
            struct timespec t = {0, (long)(wait * 1e9) % 1000000000};
            if (ppoll(&p, 1, &t, 0) > 0) pump(0);
        }
    }
}

static void send_fast(struct header *m, double end) {
    while (now() < end) {
        cs_error_t e = CS_OK;
        for (int i = 0; i < burst && (e = offer(size)) == CS_OK; i++) {
            m->seq++;
            sent++;
        }
        if (e == CS_ERR_TRY_AGAIN) {
            refused++;
            pump(1);
        } else if (e != CS_OK) {
            die("mcast", e);
        } else {
            pump(0);
        }
    }
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile_us(double q) { return latencies[(long)(latency_count * q)] * 1e6; }

static void report(void) {
    if (is_mode("lat")) {
        if (!latency_count) die("no message arrived", 0);
        qsort(latencies, latency_count, sizeof *latencies, ascending);
        printf("lat member=%d kind=%s count=%d min_us=%.1f p50_us=%.1f p90_us=%.1f p99_us=%.1f "
               "p999_us=%.1f max_us=%.1f\n",
               own, own ? "remote" : "self", latency_count, quantile_us(0), quantile_us(0.5),
               quantile_us(0.9), quantile_us(0.99), quantile_us(0.999),
               latencies[latency_count - 1] * 1e6);
        return;
    }
    double took = last - first;
    if (took <= 0) took = 1e-9;
    printf("tput member=%d secs=%.3f sent=%lu delivered=%lu msgs_s=%.0f mb_s=%.2f gaps=%d "
           "refused=%lu client_cpu=%.0f complete=%d\n",
           own, took, sent, data, data / took, bytes / took / 1e6, gaps, refused,
           100 * (cpu() - cpu_first) / (now() - first), done == senders);
}

static void options(int c, char **v) {
    int o;
    while ((o = getopt(c, v, "M:n:s:t:k:S:i:g:b:")) > 0) switch (o) {
        case 'M': mode = optarg; break;
        case 'n': want = atoi(optarg); break;
        case 's': size = atoi(optarg); break;
        case 't': secs = atof(optarg); break;
        case 'k': own = atoi(optarg); break;
        case 'S': senders = atoi(optarg); break;
        case 'i': gap_us = atoi(optarg); break;
        case 'g': group = optarg; break;
        case 'b': burst = atoi(optarg); break;
        default: exit(2);
        }
    if (size < (int)sizeof(struct header)) size = sizeof(struct header);
    if (size > (int)sizeof buffer) size = sizeof buffer;
}

int main(int c, char **v) {
    options(c, v);
    double start = now();
    join();
    struct header *m = (void *)buffer;
    m->index = own;
    if (is_mode("watch")) {
        while (now() - start < secs) pump(50);
        leave();
        return 0;
    }
    if (is_mode("lat")) {
        latencies = malloc(LATENCIES_MAX * sizeof *latencies);
        senders = 1;
    }
    while (members < want && now() - start < 20) pump(20);
    if (members < want) die("the group is not complete", members);
    m->kind = READY;
    send_surely(sizeof *m);
    while (ready < want && now() - start < 25) pump(20);
    m->kind = DATA;
    if (own < senders) {
        if (is_mode("lat")) send_at_a_rate(m, first + secs);
        else send_fast(m, first + secs);
        m->kind = DONE;
        send_surely(sizeof *m);
    }
    double limit = now() + secs + 15;
    while (done < senders && now() < limit) pump(50);
    report();
    fflush(stdout);
    usleep(300000); // slower members still read their last messages
    leave();
    return 0;
}
