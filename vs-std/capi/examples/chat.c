/* A chat: what is typed in one is printed in all. ./chat [INTERFACE [ID [GROUP]]], an empty line leaves. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vs.h"

static int failed(void) {
    fprintf(stderr, "chat: %s\n", vs_error_text());
    return 1;
}

/* Prints an event; whether it was the last one. */
static int show(const vs_event_info *info) {
    if (info->kind == VS_EVENT_MESSAGE) {
        printf("%" PRIu64 ": %.*s\n", info->from, (int)info->payload_len, (const char *)info->payload);
    } else if (info->kind == VS_EVENT_VIEW) {
        printf("view %" PRIu64 ", members", info->view_major);
        for (size_t i = 0; i < info->members_len; i++) printf(" %" PRIu64, info->members[i]);
        printf(", together with");
        for (size_t i = 0; i < info->transitional_len; i++) printf(" %" PRIu64, info->transitional[i]);
        printf("\n");
    } else if (info->text) {
        fprintf(stderr, "%s\n", info->text);
    }
    fflush(stdout);
    return info->kind == VS_EVENT_LEFT;
}

int main(int argc, char **argv) {
    vs_options options = {.size = sizeof options, .interface = argc > 1 ? argv[1] : "127.0.0.1"};
    options.process = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    vs_group *group;
    struct pollfd fds[2] = {{.fd = 0, .events = POLLIN}, {.fd = -1, .events = POLLIN}};
    if (vs_join(argc > 3 ? argv[3] : "chat", &options, &group) < 0 || vs_fd(group, &fds[1].fd) < 0) return failed();
    for (;;) {
        vs_event *event;
        vs_event_info info = {.size = sizeof info};
        int code = vs_recv(group, 0, &event);
        if (code < 0) return failed();
        if (code == VS_OK) {
            vs_event_get(event, &info);
            int left = show(&info);
            vs_event_free(event);
            if (left) return vs_free(group);
            continue;
        }
        if (poll(fds, 2, -1) < 0 || !fds[0].revents) continue;
        char line[4096];
        ssize_t len = read(0, line, sizeof line); /* a terminal hands out lines */
        if (len <= 1) {
            vs_begin_leave(group);
            fds[0].fd = -1;
        } else if (vs_send(group, (uint8_t *)line, (size_t)len - 1) < 0) {
            return failed();
        }
    }
}
