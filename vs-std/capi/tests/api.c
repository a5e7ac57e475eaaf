/* What a program of C may get wrong, and what it is promised: in one process. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vs.h"

#define CHECK(what)                                                                       \
    do {                                                                                  \
        if (!(what)) {                                                                    \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #what, vs_error_text()); \
            exit(1);                                                                      \
        }                                                                                 \
    } while (0)

static const vs_options LOCAL = {.size = sizeof(vs_options), .interface = "127.0.0.1"};

static void null_and_freed_are_refused(void) {
    vs_event_info info = {.size = sizeof info};
    vs_group *group = NULL;
    vs_event *event = NULL;
    uint64_t process;
    size_t len;
    int fd;
    CHECK(vs_join(NULL, &LOCAL, &group) == VS_ERR_ARGUMENT);
    CHECK(vs_join("g", &LOCAL, NULL) == VS_ERR_ARGUMENT);
    CHECK(vs_join("\xff\xfe", &LOCAL, &group) == VS_ERR_ARGUMENT && strstr(vs_error_text(), "UTF-8"));
    CHECK(vs_error_code() == VS_ERR_ARGUMENT);
    CHECK(vs_send(NULL, (const uint8_t *)"x", 1) == VS_ERR_HANDLE);
    CHECK(vs_recv(NULL, 0, &event) == VS_ERR_HANDLE);
    CHECK(vs_fd(NULL, &fd) == VS_ERR_HANDLE && vs_process(NULL, &process) == VS_ERR_HANDLE);
    CHECK(vs_status(NULL, NULL, 0, &len) == VS_ERR_HANDLE && vs_leave(NULL, NULL) == VS_ERR_HANDLE);
    CHECK(vs_begin_leave(NULL) == VS_ERR_HANDLE && vs_free(NULL) == VS_ERR_HANDLE);
    CHECK(vs_free((vs_group *)&info) == VS_ERR_HANDLE);
    CHECK(vs_event_get(NULL, &info) == VS_ERR_HANDLE && vs_event_free(NULL) == VS_ERR_HANDLE);
    CHECK(vs_store_free(NULL) == VS_ERR_HANDLE && vs_store_wait(NULL, 0) == VS_ERR_HANDLE);
    CHECK(vs_store_leave(NULL) == VS_ERR_HANDLE && vs_pending_free(NULL) == VS_ERR_HANDLE);
    CHECK(vs_store_read(NULL, NULL, NULL) == VS_ERR_HANDLE);
    CHECK(vs_write(NULL, NULL, 0) == VS_ERR_ARGUMENT && vs_read(NULL, NULL, 0, NULL) == VS_ERR_ARGUMENT);
}

static void options_that_cannot_be_are_named(void) {
    vs_group *group;
    vs_options wrong = {0};
    CHECK(vs_join("g", &wrong, &group) == VS_ERR_ARGUMENT && strstr(vs_error_text(), "size"));
    wrong = LOCAL, wrong.order = 9;
    CHECK(vs_join("g", &wrong, &group) == VS_ERR_OPTION && strstr(vs_error_text(), "order"));
    wrong = LOCAL, wrong.interface = "nowhere0";
    CHECK(vs_join("g", &wrong, &group) == VS_ERR_OPTION && strstr(vs_error_text(), "interface"));
    wrong = LOCAL, wrong.key_file = "/nowhere";
    CHECK(vs_join("g", &wrong, &group) == VS_ERR_OPTION && strstr(vs_error_text(), "key_file"));
    wrong = LOCAL, wrong.servers = "nothing";
    CHECK(vs_join("g", &wrong, &group) == VS_ERR_OPTION && strstr(vs_error_text(), "servers"));
    wrong = LOCAL, wrong.process = UINT64_MAX;
    CHECK(vs_join("g", &wrong, &group) == VS_ERR_OPTION && strstr(vs_error_text(), "process"));
}

static void structs_of_other_sizes_are_read(void) {
    struct { vs_options options; uint64_t more; } newer = {.options = LOCAL, .more = 1};
    newer.options.size = sizeof newer;
    vs_group *group;
    CHECK(vs_join("g", &newer.options, &group) == VS_ERR_ARGUMENT && strstr(vs_error_text(), "newer"));
    newer.more = 0;
    CHECK(vs_join("sizes", &newer.options, &group) == VS_OK && vs_free(group) == VS_OK);
    struct { uint32_t size, order; uint64_t process; } older = {sizeof older, VS_ORDER_FIFO, 77};
    uint64_t process = 0;
    CHECK(vs_join("sizes", (const vs_options *)(const void *)&older, &group) == VS_OK);
    CHECK(vs_process(group, &process) == VS_OK && process == 77 && vs_free(group) == VS_OK);
}

/* Waits by the descriptor alone for an event of a kind. */
static vs_event *await(vs_group *group, uint32_t kind, size_t members, vs_event_info *info) {
    struct pollfd ready = {.events = POLLIN};
    CHECK(vs_fd(group, &ready.fd) == VS_OK);
    for (;;) {
        vs_event *event = NULL;
        int code = vs_recv(group, 0, &event);
        CHECK(code >= 0);
        if (code == VS_NOTHING) {
            CHECK(poll(&ready, 1, 60000) == 1);
            continue;
        }
        info->size = sizeof *info;
        CHECK(vs_event_get(event, info) == VS_OK);
        if (info->kind == kind && (!members || info->members_len == members)) return event;
        CHECK(vs_event_free(event) == VS_OK);
    }
}

static void two_members_hear_each_other_and_leave(void) {
    vs_group *one, *two;
    vs_options options = LOCAL;
    vs_event_info info;
    vs_event *event;
    uint64_t unsent = 9;
    size_t len = 0;
    options.order = VS_ORDER_TOTAL;
    options.process = 1;
    CHECK(vs_join("two", &options, &one) == VS_OK);
    options.process = 2;
    CHECK(vs_join("two", &options, &two) == VS_OK);
    CHECK(vs_event_free(await(one, VS_EVENT_VIEW, 2, &info)) == VS_OK);
    CHECK(vs_event_free(await(two, VS_EVENT_VIEW, 2, &info)) == VS_OK);
    CHECK(vs_view(one, &event) == VS_OK && vs_event_get(event, &info) == VS_OK);
    CHECK(info.members_len == 2 && info.members[0] == 1 && info.members[1] == 2);
    CHECK(vs_event_free(event) == VS_OK && vs_event_free(event) == VS_ERR_HANDLE);
    CHECK(vs_send(one, (const uint8_t *)"a\0b", 3) == VS_OK);
    CHECK(vs_send(one, NULL, 3) == VS_ERR_ARGUMENT);
    CHECK(vs_send_timeout(two, NULL, 0, 0) == VS_OK);
    event = await(two, VS_EVENT_MESSAGE, 0, &info);
    while (info.from != 1) {
        CHECK(vs_event_free(event) == VS_OK);
        event = await(two, VS_EVENT_MESSAGE, 0, &info);
    }
    CHECK(info.payload_len == 3 && !memcmp(info.payload, "a\0b", 3) && vs_event_free(event) == VS_OK);
    uint8_t *large = calloc(2, 1 << 20);
    CHECK(vs_send(one, large, 2 << 20) == VS_ERR_TOO_LARGE);
    free(large);
    CHECK(vs_status(one, NULL, 0, &len) == VS_ERR_BUFFER && len > 2);
    uint8_t *status = malloc(len + 4096);
    CHECK(vs_status(one, status, len + 4096, &len) == VS_OK && status[0] == '{' && status[len - 1] == '}');
    free(status);
    CHECK(vs_leave(one, &unsent) == VS_OK && unsent == 0);
    CHECK(vs_send(one, NULL, 0) == VS_ERR_LEFT && vs_recv(one, -1, &event) == VS_ERR_LEFT);
    CHECK(vs_leave(one, NULL) == VS_OK && vs_begin_leave(one) == VS_OK);
    CHECK(vs_status(one, NULL, 0, &len) == VS_ERR_ENDED);
    CHECK(vs_free(one) == VS_OK && vs_free(one) == VS_ERR_HANDLE);
    CHECK(vs_event_free(await(two, VS_EVENT_VIEW, 1, &info)) == VS_OK && vs_free(two) == VS_OK);
}

/* A state of one number, which counts how many of it there are. */
static int alive;
static void *make(uint64_t number) {
    uint64_t *state = malloc(sizeof *state);
    *state = number, __atomic_add_fetch(&alive, 1, __ATOMIC_SEQ_CST);
    return state;
}
static void drop_state(void *state) { free(state), __atomic_sub_fetch(&alive, 1, __ATOMIC_SEQ_CST); }
static vs_store *inside;
static int inside_code;
static void apply(void *state, const uint8_t *op, size_t len, vs_writer *answer) {
    vs_pending *pending;
    if (inside) inside_code = vs_store_begin(inside, op, len, &pending);
    *(uint64_t *)state += len;
    vs_write(answer, state, sizeof(uint64_t));
}
static int32_t snapshot(const void *state, vs_writer *out) { return vs_write(out, state, sizeof(uint64_t)); }
static int32_t restore(void *user, vs_reader *in, void **state) {
    uint64_t number = 0;
    size_t len = 0;
    if (user != &alive || vs_read(in, (uint8_t *)&number, sizeof number, &len) || len != sizeof number) return 1;
    return *state = make(number), 0;
}
static void look(void *arg, const void *state) { *(uint64_t *)arg = *(const uint64_t *)state; }

static void a_state_is_restored_and_freed(void) {
    const uint64_t all[] = {1};
    vs_state_ops ops = {sizeof ops, 0, &alive, apply, snapshot, restore, drop_state, NULL};
    vs_store *one, *two;
    vs_options options = LOCAL;
    const uint8_t *answer;
    vs_pending *pending;
    uint64_t seen = 0;
    size_t len = 0;
    options.process = 1;
    vs_state_ops none = {.size = sizeof none};
    CHECK(vs_store_open("state", &options, all, 1, &none, NULL, &one) == VS_ERR_ARGUMENT);
    CHECK(vs_store_open("state", &options, all, 1, &ops, make(5), &one) == VS_OK);
    CHECK(vs_store_wait(one, 60000) == VS_OK);
    inside = one;
    CHECK(vs_store_begin(one, (const uint8_t *)"abc", 3, &pending) == VS_OK);
    CHECK(vs_pending_wait(pending, 60000, &answer, &len) == VS_OK && len == 8 && answer[0] == 8);
    CHECK(vs_pending_free(pending) == VS_OK && vs_pending_free(pending) == VS_ERR_HANDLE);
    CHECK(inside_code == VS_ERR_INSIDE);
    inside = NULL;
    CHECK(vs_store_read(one, NULL, NULL) == VS_ERR_ARGUMENT);
    CHECK(vs_store_read(one, look, &seen) == VS_OK && seen == 8);
    options.process = 2;
    CHECK(vs_store_open("state", &options, all, 1, &ops, make(5), &two) == VS_OK);
    CHECK(vs_store_wait(two, 60000) == VS_OK);
    CHECK(vs_store_read(two, look, &seen) == VS_OK && seen == 8);
    CHECK(vs_store_leave(two) == VS_OK && vs_store_free(two) == VS_OK);
    CHECK(vs_store_leave(one) == VS_OK && vs_store_wait(one, 0) == VS_ERR_ENDED);
    CHECK(vs_store_begin(one, NULL, 0, &pending) == VS_ERR_ENDED);
    CHECK(vs_store_free(one) == VS_OK && __atomic_load_n(&alive, __ATOMIC_SEQ_CST) == 0);
}

int main(void) {
    CHECK(vs_abi_version() == VS_ABI_VERSION && vs_version()[0]);
    null_and_freed_are_refused();
    options_that_cannot_be_are_named();
    structs_of_other_sizes_are_read();
    two_members_hear_each_other_and_leave();
    a_state_is_restored_and_freed();
    puts("the C ABI keeps its promises");
    return 0;
}
