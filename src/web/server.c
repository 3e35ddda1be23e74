/* server.c - libmicrohttpd's callbacks. What is promised is in server.h.
 *
 * libmicrohttpd's own timeout is of silence alone: a client that sends a byte now and then would
 * hold a connection for hours. So connections are listed with the time at which they began to send
 * a request or to take an answer, and attune_web_tick shuts the sockets of those that are late. */
#include "web/server.h"

#include "status/error.h"
#include "status/machine.h"
#include "web/gate.h"
#include "web/listen.h"
#include "web/range.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECTIONS = 512,
    CONNECTIONS_OF_ONE = 256, /* a house full of listeners may have one address */
    HEADERS = 32 * 1024,      /* bytes */
    BODY = 4096,              /* bytes */
    SILENCE = 20,             /* seconds without a byte */
    ANSWERING = 600,          /* seconds for a reply to be taken */
};

typedef struct connection {
    struct connection *next, *previous;
    int fd;
    double since; /* attune_seconds */
    bool answering;
} connection;

struct attune_web {
    struct MHD_Daemon *daemon;
    attune_gate *gate;
    double patience;
    char url[ATTUNE_WEB_URL_SIZE];
    char cookie[24];            /* its name */
    pthread_mutex_t mutex;      /* of all below */
    connection connections;     /* the head of a ring */
    attune_web_handler handler; /* NULL: requests wait */
    void *user;
    bool ending;
    pthread_cond_t changed; /* the handler or `ending` */
};

/* A request while it arrives. */
typedef struct exchange {
    char body[BODY + 1];
    size_t size;
    bool too_large;
} exchange;

/* ---- connections ---- */

static void on_connection(void *user, struct MHD_Connection *handle, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    attune_web *web = user;
    connection *c = *context;
    pthread_mutex_lock(&web->mutex);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = c = info ? calloc(1, sizeof(*c)) : NULL;
        if (c) { /* without memory it has no deadline but libmicrohttpd's */
            *c = (connection){.next = web->connections.next,
                              .previous = &web->connections,
                              .fd = info->connect_fd,
                              .since = attune_seconds()};
            c->next->previous = c;
            web->connections.next = c;
        }
    } else if (c) {
        c->next->previous = c->previous;
        c->previous->next = c->next;
        free(c);
        *context = NULL;
    }
    pthread_mutex_unlock(&web->mutex);
}

/* Begins to wait for a request, or for its reply to be taken. */
static void begin(attune_web *web, struct MHD_Connection *handle, bool answering)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    connection *c = info ? info->socket_context : NULL;
    pthread_mutex_lock(&web->mutex);
    if (c) {
        c->since = attune_seconds();
        c->answering = answering;
    }
    pthread_mutex_unlock(&web->mutex);
}

void attune_web_tick(attune_web *web)
{
    const double now = attune_seconds();
    pthread_mutex_lock(&web->mutex);
    for (connection *c = web->connections.next; c != &web->connections; c = c->next) {
        if (now - c->since > (c->answering ? ANSWERING : web->patience)) {
            shutdown(c->fd, SHUT_RDWR); /* its thread wakes and ends it */
        }
    }
    pthread_mutex_unlock(&web->mutex);
}

/* ---- replies ---- */

static void add_headers(struct MHD_Response *response, const attune_web_reply *reply)
{
    static const char *const always[][2] = {
        {"X-Content-Type-Options", "nosniff"},
        {"X-Frame-Options", "DENY"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cache-Control", "no-store"},
        {"Content-Security-Policy",
         "default-src 'self'; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
         "frame-ancestors 'none'; form-action 'self'"},
    };
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        MHD_add_response_header(response, always[i][0], always[i][1]);
    }
    MHD_add_response_header(response, "Content-Type", reply->type);
    if (reply->parts) {
        MHD_add_response_header(response, "Accept-Ranges", "bytes");
    }
}

static void release_nothing(void *owner)
{
    (void)owner;
}

/* Sends a reply, or the part [first, first + count) of it. Takes what it owns. */
static enum MHD_Result send_part(struct MHD_Connection *handle, const attune_web_reply *reply,
                                 size_t first, size_t count, const char *name, const char *value)
{
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        count, (char *)reply->bytes + first, reply->release ? reply->release : release_nothing,
        reply->owner);
    if (!response) {
        if (reply->release) {
            reply->release(reply->owner);
        }
        return MHD_NO;
    }
    add_headers(response, reply);
    if (name) {
        MHD_add_response_header(response, name, value);
    }
    const enum MHD_Result queued = MHD_queue_response(handle, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    return queued;
}

static enum MHD_Result send_reply(struct MHD_Connection *handle, attune_web_reply *reply)
{
    char value[96];
    size_t first = 0, count = reply->size;
    /* A part is only good together with what the client has if that is the same, which it cannot
     * know without a name for the version: If-Range never holds. */
    const bool ranged =
        reply->parts && !MHD_lookup_connection_value(handle, MHD_HEADER_KIND, "If-Range");
    switch (ranged ? attune_web_range(&first, &count,
                                      MHD_lookup_connection_value(handle, MHD_HEADER_KIND, "Range"),
                                      reply->size)
                   : ATTUNE_WEB_WHOLE) {
    case ATTUNE_WEB_PART:
        reply->status = MHD_HTTP_PARTIAL_CONTENT;
        snprintf(value, sizeof(value), "bytes %zu-%zu/%zu", first, first + count - 1, reply->size);
        return send_part(handle, reply, first, count, "Content-Range", value);
    case ATTUNE_WEB_NOTHING:
        reply->status = MHD_HTTP_RANGE_NOT_SATISFIABLE;
        snprintf(value, sizeof(value), "bytes */%zu", reply->size);
        return send_part(handle, reply, 0, 0, "Content-Range", value);
    case ATTUNE_WEB_WHOLE:
        break;
    }
    return send_part(handle, reply, 0, reply->size, NULL, NULL);
}

/* A refusal: JSON for programs, which ask below /api, and a line of text for people. */
static enum MHD_Result refuse(struct MHD_Connection *handle, const char *path, int status,
                              const char *text, const char *header, const char *value)
{
    const bool program = strncmp(path, "/api/", 5) == 0;
    char *line = NULL;
    const int size = asprintf(&line, program ? "{\"error\": \"%s\"}\n" : "%s\n", text);
    const attune_web_reply reply = {.status = status,
                                    .type =
                                        program ? "application/json" : "text/plain; charset=utf-8",
                                    .bytes = size < 0 ? "" : line,
                                    .size = size < 0 ? 0 : (size_t)size,
                                    .release = size < 0 ? NULL : free,
                                    .owner = line};
    return send_part(handle, &reply, 0, reply.size, header, value);
}

/* ---- requests ---- */

const char *attune_web_query(const attune_web_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

static const char *header_of(struct MHD_Connection *handle, const char *name)
{
    return MHD_lookup_connection_value(handle, MHD_HEADER_KIND, name);
}

/* Sets the cookie, and then has the page opened. No redirect: to a browser that followed a link
 * from elsewhere it would still come from there, and it would not bring the cookie. */
static enum MHD_Result welcome(const attune_web *web, struct MHD_Connection *handle)
{
    static const char page[] = "<!doctype html><meta charset=utf-8><meta http-equiv=refresh "
                               "content=\"0; url=/\"><title>attune</title><a href=/>attune</a>\n";
    char cookie[256];
    snprintf(cookie, sizeof(cookie), "%s=%s; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000",
             web->cookie, attune_gate_cookie(web->gate));
    const attune_web_reply reply = {.status = MHD_HTTP_OK,
                                    .type = "text/html; charset=utf-8",
                                    .bytes = page,
                                    .size = sizeof(page) - 1};
    return send_part(handle, &reply, 0, reply.size, "Set-Cookie", cookie);
}

/* True if the request may be answered; else *result is that of a refusal or a welcome. */
static bool pass_gate(enum MHD_Result *result, const attune_web *web, struct MHD_Connection *handle,
                      const char *path)
{
    const attune_gate *gate = web->gate;
    const char *token = MHD_lookup_connection_value(handle, MHD_GET_ARGUMENT_KIND, "token");
    const char *cookie = MHD_lookup_connection_value(handle, MHD_COOKIE_KIND, web->cookie);
    if (!attune_gate_has_token(gate)) {
        const bool own = attune_gate_host_is_own(header_of(handle, "Host"));
        *result =
            own ? MHD_YES
                : refuse(handle, path, MHD_HTTP_FORBIDDEN,
                         "open it as localhost or 127.0.0.1, or start it with --token", NULL, NULL);
        return own;
    }
    if (token && strcmp(path, "/") == 0 && attune_gate_token_is_good(gate, token)) {
        *result = welcome(web, handle);
        return false;
    }
    if (attune_gate_cookie_is_good(gate, cookie) ||
        attune_gate_bearer_is_good(gate, header_of(handle, "Authorization"))) {
        return true;
    }
    *result =
        refuse(handle, path, MHD_HTTP_UNAUTHORIZED,
               "open the link with ?token=..., as you were given it", "WWW-Authenticate", "Bearer");
    return false;
}

/* Parameters may follow the type. */
static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    const size_t length = sizeof(json) - 1;
    return type && strncasecmp(type, json, length) == 0 && strchr("; \t", type[length]);
}

/* Refuses by the headers alone what needs no body; true if it did. */
static bool refuse_early(enum MHD_Result *result, attune_web *web, struct MHD_Connection *handle,
                         const char *path, const char *method)
{
    const bool post = strcmp(method, MHD_HTTP_METHOD_POST) == 0;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const char *length = header_of(handle, "Content-Length");
    if (!attune_gate_admit(web->gate, info ? info->client_addr : NULL, attune_seconds())) {
        *result = refuse(handle, path, MHD_HTTP_TOO_MANY_REQUESTS,
                         "too many requests; wait a little", "Retry-After", "1");
        return true;
    }
    if (!post && strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
        strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        *result = refuse(handle, path, MHD_HTTP_METHOD_NOT_ALLOWED,
                         "not a method that is known here", "Allow", "GET, HEAD, POST");
        return true;
    }
    if (!pass_gate(result, web, handle, path)) {
        return true;
    }
    if (post && !is_json(header_of(handle, "Content-Type"))) {
        *result = refuse(handle, path, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                         "the content type is not application/json", NULL, NULL);
        return true;
    }
    if (length && strtoull(length, NULL, 10) > BODY) {
        *result =
            refuse(handle, path, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large", NULL, NULL);
        return true;
    }
    return false;
}

static void collect(exchange *e, const char *bytes, size_t size)
{
    if (size > BODY - e->size) {
        e->too_large = true;
        return;
    }
    memcpy(e->body + e->size, bytes, size);
    e->size += size;
}

/* False if the server ends before there is one. */
static bool wait_for_handler(attune_web *web)
{
    pthread_mutex_lock(&web->mutex);
    while (!web->handler && !web->ending) {
        pthread_cond_wait(&web->changed, &web->mutex);
    }
    const bool ready = web->handler;
    pthread_mutex_unlock(&web->mutex);
    return ready;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *handle, const char *path,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **context)
{
    attune_web *web = user;
    exchange *e = *context;
    enum MHD_Result result = MHD_YES;
    (void)version;
    if (!e) { /* the headers are here */
        *context = e = calloc(1, sizeof(*e));
        if (!e) {
            return MHD_NO;
        }
        return refuse_early(&result, web, handle, path, method) ? result : MHD_YES;
    }
    if (*upload_size > 0) {
        collect(e, upload, *upload_size);
        *upload_size = 0;
        return MHD_YES;
    }
    begin(web, handle, true);
    if (e->too_large) {
        return refuse(handle, path, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large", NULL,
                      NULL);
    }
    const attune_web_request request = {.post = strcmp(method, MHD_HTTP_METHOD_POST) == 0,
                                        .path = path,
                                        .body = e->body,
                                        .body_size = e->size,
                                        .connection = handle};
    attune_web_reply reply = {0};
    if (!wait_for_handler(web)) {
        return refuse(handle, path, MHD_HTTP_SERVICE_UNAVAILABLE, "the server ends", NULL, NULL);
    }
    web->handler(web->user, &reply, &request);
    return send_reply(handle, &reply);
}

static void on_completed(void *user, struct MHD_Connection *handle, void **context,
                         enum MHD_RequestTerminationCode why)
{
    (void)why;
    free(*context);
    *context = NULL;
    begin(user, handle, false);
}

/* Leaves a text with %00 as it is: it would end there, and pass for another path or value. */
static size_t unescape(void *user, struct MHD_Connection *handle, char *text)
{
    (void)user;
    (void)handle;
    return strstr(text, "%00") ? strlen(text) : MHD_http_unescape(text);
}

/* ---- the server ---- */

void attune_web_options_default(attune_web_options *options)
{
    *options = (attune_web_options){.address = "127.0.0.1", .rate = 50, .patience = 40};
}

static attune_status start_daemon(attune_web *web, int fd)
{
    web->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, NULL,
        NULL, on_request, web, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS, MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)CONNECTIONS_OF_ONE,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HEADERS, MHD_OPTION_NOTIFY_CONNECTION, on_connection, web,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, web, MHD_OPTION_UNESCAPE_CALLBACK, unescape,
        NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    return web->daemon ? ATTUNE_OK
                       : attune_fail(ATTUNE_EIO, "the web server (libmicrohttpd %s) cannot start",
                                     MHD_get_version());
}

attune_status attune_web_start(attune_web **out, const attune_web_options *options)
{
    int fd = -1;
    attune_web *web = *out = calloc(1, sizeof(*web));
    if (!web) {
        return attune_fail_memory("a server", sizeof(*web));
    }
    pthread_mutex_init(&web->mutex, NULL);
    pthread_cond_init(&web->changed, NULL);
    web->connections.next = web->connections.previous = &web->connections;
    web->patience = options->patience;
    attune_status status = attune_gate_create(&web->gate, options->token, options->rate);
    if (status == ATTUNE_OK) {
        status = attune_web_listen(&fd, web->url, options->address, options->port);
    }
    if (status == ATTUNE_OK) {
        snprintf(web->cookie, sizeof(web->cookie), "attune-%d", atoi(strrchr(web->url, ':') + 1));
    }
    if (status == ATTUNE_OK) {
        status = start_daemon(web, fd);
    }
    if (status != ATTUNE_OK) {
        if (fd >= 0) {
            close(fd);
        }
        attune_web_stop(web);
        *out = NULL;
    }
    return status;
}

void attune_web_serve(attune_web *web, attune_web_handler handler, void *user)
{
    pthread_mutex_lock(&web->mutex);
    web->handler = handler;
    web->user = user;
    pthread_cond_broadcast(&web->changed);
    pthread_mutex_unlock(&web->mutex);
}

const char *attune_web_url(const attune_web *web)
{
    return web->url;
}

void attune_web_stop(attune_web *web)
{
    if (web) {
        pthread_mutex_lock(&web->mutex);
        web->ending = true;
        pthread_cond_broadcast(&web->changed);
        pthread_mutex_unlock(&web->mutex);
        if (web->daemon) {
            MHD_stop_daemon(web->daemon); /* closes the socket */
        }
        attune_gate_free(web->gate);
        pthread_cond_destroy(&web->changed);
        pthread_mutex_destroy(&web->mutex);
        free(web);
    }
}
