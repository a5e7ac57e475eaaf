/* A replicated register of 26 numbers: ./store ID [INTERFACE], in three terminals with ID 1, 2, 3.
 * "a 5" adds 5 to a, "a" reads it, "status" tells, an empty line leaves. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vs.h"

typedef struct { int64_t of[26]; } state;
typedef struct { int64_t add; int32_t key; int32_t zero; } op;
typedef struct { int key; int64_t value; } question;

static void apply(void *s, const uint8_t *bytes, size_t len, vs_writer *answer) {
    op op;
    if (len != sizeof op) return; /* an operation of another program: the answer is empty */
    memcpy(&op, bytes, len);
    if (op.key < 0 || op.key > 25) return;
    int64_t *value = &((state *)s)->of[op.key];
    *value = (int64_t)((uint64_t)*value + (uint64_t)op.add);
    vs_write(answer, (uint8_t *)value, sizeof *value);
}
static int32_t snapshot(const void *s, vs_writer *out) { return vs_write(out, s, sizeof(state)); }
static int32_t restore(void *user, vs_reader *in, void **made) {
    (void)user;
    uint8_t *bytes = calloc(1, sizeof(state));
    size_t at = 0, len = 1;
    while (at < sizeof(state) && len && vs_read(in, bytes + at, sizeof(state) - at, &len) == VS_OK) at += len;
    *made = bytes;
    return at == sizeof(state) ? 0 : 1;
}
static void look(void *arg, const void *s) {
    question *q = arg;
    q->value = ((const state *)s)->of[q->key];
}
static void hear(void *user, const char *text) { (void)user, fprintf(stderr, "# %s\n", text); }

int main(int argc, char **argv) {
    const uint64_t all[] = {1, 2, 3};
    vs_options options = {.size = sizeof options, .interface = argc > 2 ? argv[2] : "127.0.0.1"};
    options.process = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    vs_state_ops ops = {sizeof ops, 0, NULL, apply, snapshot, restore, free, hear};
    vs_store *store;
    int code = vs_store_open("store-c", &options, all, 3, &ops, calloc(1, sizeof(state)), &store);
    char line[256], text[512];
    while (code >= 0 && fgets(line, sizeof line, stdin) && line[0] != '\n') {
        op op = {.key = line[0] - 'a'};
        vs_pending *call = NULL;
        const uint8_t *answer;
        size_t len = 0;
        if (!strcmp(line, "status\n")) {
            if (vs_store_status(store, (uint8_t *)text, sizeof text, &len) == VS_OK) printf("%.*s\n", (int)len, text);
        } else if (op.key < 0 || op.key > 25) {
            puts("a letter, and perhaps a number");
        } else if (sscanf(line + 1, "%" SCNd64, &op.add) == 1) {
            code = vs_store_begin(store, (uint8_t *)&op, sizeof op, &call);
            if (code == VS_OK) code = vs_pending_wait(call, 10000, &answer, &len);
            if (code == VS_OK && len == 8) printf("%" PRId64 "\n", *(const int64_t *)(const void *)answer);
            else printf("%s: %s\n", code == VS_ERR_REFUSED ? "not done" : "perhaps done", vs_error_text());
            if (call) vs_pending_free(call);
        } else {
            question q = {op.key, 0};
            code = vs_store_read(store, look, &q);
            if (code == VS_OK) printf("%" PRId64 "\n", q.value);
            else printf("not done: %s\n", vs_error_text());
        }
        fflush(stdout);
        if (code == VS_ERR_REFUSED || code == VS_ERR_UNKNOWN || code == VS_NOTHING) code = VS_OK;
    }
    if (code < 0) return fprintf(stderr, "store: %s\n", vs_error_text()), 1;
    return vs_store_leave(store) || vs_store_free(store);
}
