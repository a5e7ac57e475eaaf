/* Virtually synchronous group communication. Made by cbindgen from vs-std/capi/src: do not edit.
 *
 * Every function returns VS_OK, VS_NOTHING or a negative VS_ERR_ code; vs_error_text() has the words
 * for the calling thread. README.md says who owns what. */

#ifndef VS_H
#define VS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// Version of this ABI. It grows when a function changes its meaning or goes; functions, codes,
// kinds and fields at the end of structs are added without that.
#define VS_ABI_VERSION 1

// It is done.
#define VS_OK 0

// There was nothing within the time that was given. This is no error, and has no text.
#define VS_NOTHING 1

// An argument is NULL, no UTF-8, out of its range, or of another size.
#define VS_ERR_ARGUMENT -1

// The handle is NULL, was freed, or is one of another kind.
#define VS_ERR_HANDLE -2

// An option cannot be used, or the system refuses what it asks for.
#define VS_ERR_OPTION -3

// The message or the operation is longer than `message_bytes_max`.
#define VS_ERR_TOO_LARGE -4

// There is no room at the moment.
#define VS_ERR_FULL -5

// There was no room, or no end, in time.
#define VS_ERR_TIMED_OUT -6

// The group was left.
#define VS_ERR_LEFT -7

// The process is out of the group for good.
#define VS_ERR_DETACHED -8

// There was no view within `join_timeout_ms`.
#define VS_ERR_JOIN_TIMED_OUT -9

// The process was forked from the one that joined.
#define VS_ERR_FORKED -10

// The system refuses something.
#define VS_ERR_SYSTEM -11

// An observer does not send.
#define VS_ERR_OBSERVER -12

// The call was not sent, and will not be carried out.
#define VS_ERR_REFUSED -13

// The operation was carried out once or never.
#define VS_ERR_UNKNOWN -14

// The replicated state has ended.
#define VS_ERR_ENDED -15

// A call from inside a callback of the state would wait for itself.
#define VS_ERR_INSIDE -16

// The buffer is too small; the length that is needed was written.
#define VS_ERR_BUFFER -17

// A fault of this library. The handle should not be used any more.
#define VS_ERR_PANIC -18

// Of a kind that this version of the ABI does not name; `text` says what it is.
#define VS_EVENT_OTHER 0

// A message: `from`, `number`, `stage`, `payload`. Own messages come back, too.
#define VS_EVENT_MESSAGE 1

// A new view: `view_major`, `view_minor`, `members`, `transitional`, `flag` (there is a quorum).
#define VS_EVENT_VIEW 2

// The view ends: what comes from here on is promised to `transitional` alone.
#define VS_EVENT_SIGNAL 3

// A message to this process alone: `from`, `payload`.
#define VS_EVENT_DIRECT 4

// The view is primary from here on.
#define VS_EVENT_PRIMARY 5

// The view does not hold any more for this process.
#define VS_EVENT_LAPSED 6

// The view holds again.
#define VS_EVENT_RESTORED 7

// Messages are missing here, since this process receives too slowly: `count`.
#define VS_EVENT_GAP 8

// The process is out: `text` says why, `flag` whether for good.
#define VS_EVENT_DETACHED 9

// No membership server answers: `text`.
#define VS_EVENT_UNANSWERED 10

// The group was left: `count` messages nobody will see.
#define VS_EVENT_LEFT 11

// `stage`: promised to all members of the view.
#define VS_STAGE_REGULAR 0

// `stage`: promised to the transitional set alone.
#define VS_STAGE_RECORDED 1

// `stage`: the same, and nobody delivered it before the signal.
#define VS_STAGE_TAIL 2

// `order`: messages of one sender come in the order in which they were sent.
#define VS_ORDER_FIFO 0

// `order`: what a sender had delivered before it sent is delivered before.
#define VS_ORDER_CAUSAL 1

// `order`: all members deliver all messages in one order.
#define VS_ORDER_TOTAL 2

// `order`: the same, and all members have what is delivered.
#define VS_ORDER_SAFE 3

// `role`: sends and receives.
#define VS_ROLE_MEMBER 0

// `role`: only receives, and nobody waits for it.
#define VS_ROLE_OBSERVER 1

// `slow_reader`: as the role says.
#define VS_SLOW_DEFAULT 0

// `slow_reader`: the senders wait for this process.
#define VS_SLOW_BLOCK 1

// `slow_reader`: the oldest messages are skipped, which VS_EVENT_GAP tells.
#define VS_SLOW_SKIP 2

// An event. It belongs to the program: end it with vs_event_free.
typedef struct vs_event vs_event;

// A process in a group. It belongs to the program: end it with vs_free. Threads may share it.
typedef struct vs_group vs_group;

// A call that waits for its answer. It belongs to the program: end it with vs_pending_free.
typedef struct vs_pending vs_pending;

// Hands out bytes, during the callback that it is handed to.
typedef struct vs_reader vs_reader;

// A replicated state. It belongs to the program: end it with vs_store_free. Threads may share it.
typedef struct vs_store vs_store;

// Takes bytes, during the callback that it is handed to.
typedef struct vs_writer vs_writer;

// What an event holds. Set `size` to `sizeof(vs_event_info)`. What the kind does not name is 0 or
// NULL. All that it points to belongs to the event, and is there until vs_event_free.
typedef struct {
  // `sizeof(vs_event_info)`.
  uint32_t size;
  // VS_EVENT_.
  uint32_t kind;
  // Who sent it.
  uint64_t from;
  // The sender's number of the message in the view, from 1.
  uint64_t number;
  // VS_STAGE_.
  uint32_t stage;
  // See the kind.
  uint32_t flag;
  // The message: bytes, perhaps with NULs, and none behind them.
  const uint8_t *payload;
  // How many.
  size_t payload_len;
  // The id of the view grows.
  uint64_t view_major;
  // Tells views of one number apart.
  uint64_t view_minor;
  // Members of the view, ascending.
  const uint64_t *members;
  // How many.
  size_t members_len;
  // Members that came from the same view as this process, ascending.
  const uint64_t *transitional;
  // How many.
  size_t transitional_len;
  // See the kind.
  uint64_t count;
  // Words for people; UTF-8.
  const char *text;
} vs_event_info;

// How a group is joined. Set `size` to `sizeof(vs_options)` and everything else to zero: that is
// the default of each field. All texts are read during the call alone.
typedef struct {
  // `sizeof(vs_options)`.
  uint32_t size;
  // VS_ORDER_. The same at all members.
  uint32_t order;
  // The id of this process, 1 to 2^53 - 1: the same after every start, and nobody else's. 0: one
  // is drawn.
  uint64_t process;
  // Name or address of an interface of this host, "127.0.0.1" to meet processes of this host
  // alone. NULL: the one that leads to others.
  const char *interface;
  // Membership servers, as "HOST:PORT,HOST:PORT". NULL: none, members find each other.
  const char *servers;
  // Multicast group, as "IP:PORT". NULL: that of all members that name no other.
  const char *multicast;
  // File of keys, as `vs keygen` makes it. NULL: nothing is sealed.
  const char *key_file;
  // File for a trace. NULL: none.
  const char *trace;
  // Processes of which more than half make a view primary. NULL: none.
  const uint64_t *primary_of;
  // How many there are.
  size_t primary_of_len;
  // How long vs_send waits for room, in ms. 0: 10,000.
  uint64_t send_timeout_ms;
  // How long the first view may take, in ms. 0: as long as it takes.
  uint64_t join_timeout_ms;
  // How long a member may be silent, in ms. 0: the default of the group.
  uint64_t peer_ms;
  // Most members of a view. 0: 16.
  uint64_t members_max;
  // Bytes of the largest message. 0: 1 MiB.
  uint64_t message_bytes_max;
  // Bytes of events that wait to be received. 0: 4 MiB.
  uint64_t inbox_bytes;
  // Bytes of messages that wait to be sent. 0: 256 KiB.
  uint64_t outbox_bytes;
  // VS_ROLE_.
  uint32_t role;
  // VS_SLOW_.
  uint32_t slow_reader;
  // Not 0: without IP multicast, a copy goes to each member.
  uint32_t unicast;
  // 0.
  uint32_t reserved;
} vs_options;

// What a state is. The functions are called on threads of the library, never two at once with one
// state. They must not end by an exception or by longjmp, and must not call the store.
typedef struct {
  // `sizeof(vs_state_ops)`.
  uint32_t size;
  // 0.
  uint32_t reserved;
  // Handed to `restore` and `hear`.
  void *user;
  // Carries an operation out, and writes its answer. It depends on the state and the operation
  // alone: not on time, random numbers, addresses or the order of a hash table.
  void (*apply)(void *state, const uint8_t *op, size_t op_len, vs_writer *answer);
  // Writes all of the state: equal states write equal bytes. Not 0: it cannot.
  int32_t (*snapshot)(const void *state, vs_writer *out);
  // Makes another state of what `snapshot` wrote, to the end. Not 0: it cannot.
  int32_t (*restore)(void *user, vs_reader *input, void **state);
  // Frees a state. NULL: nothing is to be freed.
  void (*drop_state)(void *state);
  // Hears in words what happens. NULL: nobody does.
  void (*hear)(void *user, const char *text);
} vs_state_ops;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The VS_ABI_VERSION of the library that is loaded. Compare it with that of the header.
uint32_t vs_abi_version(void);

// The version of the library in words. It is never freed.
const char *vs_version(void);

// The code of the last call of this thread that failed; VS_OK before.
int32_t vs_error_code(void);

// The last call of this thread that failed, in a sentence that says what to do. Never NULL; UTF-8.
// It belongs to the library, and is there until the next call of this thread that fails.
const char *vs_error_text(void);

// Tells what an event holds.
//
// # Safety
// `to` is NULL or begins with its size and has as many bytes.
int32_t vs_event_get(const vs_event *event, vs_event_info *to);

// Frees an event, and all that its info points to.
int32_t vs_event_free(vs_event *event);

// Joins a group. `options` NULL: everything by default. Does not wait for the first view.
//
// # Safety
// `name` is a text, `options` is NULL or as it says of itself, `group` is a place.
int32_t vs_join(const char *name, const vs_options *options, vs_group **group);

// Frees a group. Without vs_leave before, that is a crash in the eyes of the others. A call of
// another thread that still waits goes on to its end; none may begin.
int32_t vs_free(vs_group *group);

// The id of this process.
//
// # Safety
// `process` is NULL or a place.
int32_t vs_process(const vs_group *group, uint64_t *process);

// Multicasts `len` bytes, and waits for room for up to `send_timeout_ms` of the options. The bytes
// are copied.
//
// # Safety
// `data` has `len` bytes.
int32_t vs_send(const vs_group *group, const uint8_t *data, size_t len);

// vs_send that waits for at most `timeout_ms`; 0: not at all, VS_ERR_FULL if there is no room.
// Negative: as the options say.
//
// # Safety
// `data` has `len` bytes.
int32_t vs_send_timeout(const vs_group *group, const uint8_t *data, size_t len, int64_t timeout_ms);

// Waits for the next event for at most `timeout_ms`: 0 not at all, negative for ever. VS_NOTHING:
// there was none. After VS_ERR_LEFT and VS_ERR_DETACHED nothing more will come.
//
// # Safety
// `event` is NULL or a place.
int32_t vs_recv(const vs_group *group, int64_t timeout_ms, vs_event **event);

// A descriptor that is readable while an event is there, and after the end: for poll, epoll and
// event loops. Receive with timeout 0 then, until VS_NOTHING. It belongs to the group: do not
// read, write or close it, and take it out of the loop before vs_free.
//
// # Safety
// `fd` is NULL or a place.
int32_t vs_fd(const vs_group *group, int *fd);

// The view that was received last, as an event of VS_EVENT_VIEW without its transitional set.
//
// # Safety
// `view` is NULL or a place.
int32_t vs_view(const vs_group *group, vs_event **view);

// What the node sees now, with its counters, as one object of JSON that `vs status --json` prints,
// without a NUL. VS_ERR_BUFFER: `len` says how many bytes to offer.
//
// # Safety
// `buffer` is NULL or has `room` bytes; `len` is a place.
int32_t vs_status(const vs_group *group, uint8_t *buffer, size_t room, size_t *len);

// Seals with the keys of a file from now on, and opens with these alone.
//
// # Safety
// `key_file` is a text.
int32_t vs_set_key_file(const vs_group *group, const char *key_file);

// Asks to leave, and does not wait: VS_EVENT_LEFT is the last event that is received.
int32_t vs_begin_leave(const vs_group *group);

// Leaves, and waits until all members have what was sent. `unsent`, unless it is NULL: how many
// messages nobody will see. The handle is still there: calls answer VS_ERR_LEFT until vs_free.
//
// # Safety
// `unsent` is NULL or a place.
int32_t vs_leave(const vs_group *group, uint64_t *unsent);

// Writes bytes. Not VS_OK: there is no room for them, so let the callback answer an error.
//
// # Safety
// `writer` is NULL or was handed to the callback that runs; `data` has `len` bytes.
int32_t vs_write(vs_writer *writer, const uint8_t *data, size_t len);

// Reads up to `room` bytes; `len` 0 at the end alone.
//
// # Safety
// `reader` is NULL or was handed to the callback that runs; `buffer` has `room` bytes.
int32_t vs_read(vs_reader *reader, uint8_t *buffer, size_t room, size_t *len);

// Joins a group, and takes part in its state, of which more than half of `primary_of` must have
// it. A new state begins with `initial`, the same at all members; it belongs to the store from
// here on, also if this fails with VS_ERR_OPTION. The order of the options does not count.
//
// # Safety
// As vs_join; `ops` is as it says of itself, and its functions are there until the process ends.
int32_t vs_store_open(const char *name,
                      const vs_options *options,
                      const uint64_t *primary_of,
                      size_t primary_of_len,
                      const vs_state_ops *ops,
                      void *initial,
                      vs_store **store);

// Waits until calls are answered. VS_NOTHING: not in time.
int32_t vs_store_wait(const vs_store *store, int64_t timeout_ms);

// Asks for an operation to be carried out, once, in the order of all. Does not wait. The bytes are
// copied.
//
// # Safety
// `op` has `len` bytes; `pending` is NULL or a place.
int32_t vs_store_begin(const vs_store *store, const uint8_t *op, size_t len, vs_pending **pending);

// Waits for the answer. VS_NOTHING: it is not there yet, wait again. VS_OK: `answer` and `len` say
// where it is, until vs_pending_free. One thread waits at a time.
//
// # Safety
// `answer` and `len` are NULL or places.
int32_t vs_pending_wait(const vs_pending *pending,
                        int64_t timeout_ms,
                        const uint8_t **answer,
                        size_t *len);

// Frees a call and its answer. One that was not answered is perhaps still carried out.
int32_t vs_pending_free(vs_pending *pending);

// Calls `look(arg, state)` once all is in the state that was answered before, and waits for that,
// for up to 10 s. It runs on a thread of the library, during this call alone.
//
// # Safety
// `look` reads the state, and what `arg` points to is there during the call.
int32_t vs_store_read(const vs_store *store, void (*look)(void *arg, const void *state), void *arg);

// How the store fares, in words, without a NUL. VS_ERR_BUFFER: `len` says how many bytes to offer.
//
// # Safety
// `buffer` is NULL or has `room` bytes; `len` is a place.
int32_t vs_store_status(const vs_store *store, uint8_t *buffer, size_t room, size_t *len);

// Leaves in good order, and waits for that. The handle is still there: calls answer VS_ERR_ENDED.
int32_t vs_store_leave(const vs_store *store);

// Frees a store. Without vs_store_leave before, that is a crash in the eyes of the others.
int32_t vs_store_free(vs_store *store);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VS_H */
