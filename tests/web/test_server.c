/* A server in this process: slow clients are sent away, others are answered meanwhile. */
#include "tests/support/support.h"
#include "web/server.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static atomic_int released;

static void count_release(void *owner)
{
    (void)owner;
    released++;
}

static void answer(void *user, attune_web_reply *reply, const attune_web_request *request)
{
    static const char text[] = "0123456789";
    const char *name = attune_web_query(request, "name");
    (void)user;
    const bool known = name && strcmp(name, "1") == 0 && strcmp(request->path, "/x") == 0;
    *reply = (attune_web_reply){.status = known ? 200 : 404,
                                .type = "text/plain",
                                .bytes = request->post ? request->body : text,
                                .size = request->post ? request->body_size : 10,
                                .parts = true,
                                .release = count_release};
}

static attune_web *start_unready(double patience)
{
    attune_web *web = NULL;
    attune_web_options options;
    attune_web_options_default(&options);
    options.patience = patience;
    assert_ok(attune_web_start(&web, &options));
    return web;
}

static attune_web *start(double patience)
{
    attune_web *web = start_unready(patience);
    attune_web_serve(web, answer, NULL);
    return web;
}

static int connect_to(const attune_web *web)
{
    int port = 0;
    cr_assert_eq(sscanf(attune_web_url(web), "http://127.0.0.1:%d/", &port), 1);
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)port),
                                        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(fd >= 0 && connect(fd, (const void *)&address, sizeof(address)) == 0);
    return fd;
}

static int send_to(const attune_web *web, const char *request)
{
    const int fd = connect_to(web);
    cr_assert_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    return fd;
}

static void hear(int fd, char out[4096])
{
    size_t size = 0;
    ssize_t got = 0;
    while (size < 4095 && (got = recv(fd, out + size, 4095 - size, 0)) > 0) {
        size += (size_t)got;
    }
    out[size] = '\0';
    close(fd);
}

/* Sends a request that asks to close, and reads all of the reply. */
static void ask(const attune_web *web, char out[4096], const char *request)
{
    hear(send_to(web, request), out);
}

#define GET "GET /x?name=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"

Test(server, replies)
{
    attune_web *web = start(40);
    char reply[4096];
    ask(web, reply, GET "\r\n");
    cr_assert(strstr(reply, "200 OK") && strstr(reply, "\r\n\r\n0123456789"), "%s", reply);
    ask(web, reply, GET "Range: bytes=3-5\r\n\r\n");
    cr_assert(strstr(reply, " 206 ") && strstr(reply, "Content-Range: bytes 3-5/10\r\n") &&
                  strstr(reply, "\r\n\r\n345"),
              "%s", reply);
    ask(web, reply, GET "Range: bytes=3-5\r\nIf-Range: \"x\"\r\n\r\n");
    cr_assert(strstr(reply, "200 OK"), "%s", reply);
    ask(web, reply, GET "Range: bytes=10-\r\n\r\n");
    cr_assert(strstr(reply, " 416 ") && strstr(reply, "Content-Range: bytes */10\r\n"), "%s",
              reply);
    ask(web, reply,
        "POST /x?name=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: "
        "application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}");
    cr_assert(strstr(reply, "200 OK") && strstr(reply, "\r\n\r\n{}"), "%s", reply);
    attune_web_stop(web);
    cr_assert_eq(released, 5, "%d of 5 released", released);
}

/* A NUL ends neither a path nor a value. */
Test(server, escapes)
{
    static const char *const cases[][2] = {{"/%78?name=%31", " 200 "}, {"/x%00y?name=1", " 404 "},
                                           {"/x%00?name=1", " 404 "},  {"/x?name=1%00", " 404 "},
                                           {"/x?name=%001", " 404 "},  {"/x?name%00=1", " 404 "},
                                           {"/x%2500?name=1", " 404 "}};
    attune_web *web = start(40);
    char request[200], reply[4096];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(request, sizeof(request),
                 "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", cases[i][0]);
        ask(web, reply, request);
        cr_assert(strstr(reply, cases[i][1]), "%s: %s", cases[i][0], reply);
    }
    attune_web_stop(web);
}

Test(server, content_types)
{
    static const char *const cases[][2] = {
        {"application/jsonp", " 415 "}, {"application/json-seq", " 415 "},
        {"application/jso", " 415 "},   {"text/plain", " 415 "},
        {"application/json", " 200 "},  {"application/json;charset=utf-8", " 200 "},
        {"Application/JSON", " 200 "},  {"application/json ; charset=utf-8", " 200 "}};
    attune_web *web = start(40);
    char request[300], reply[4096];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(request, sizeof(request),
                 "POST /x?name=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                 "Content-Type: %s\r\nContent-Length: 2\r\n\r\n{}",
                 cases[i][0]);
        ask(web, reply, request);
        cr_assert(strstr(reply, cases[i][1]), "%s: %s", cases[i][0], reply);
    }
    attune_web_stop(web);
}

/* The port is taken before there is anybody to answer; requests wait, but not for a server that
 * ends. */
Test(server, ready_later)
{
    attune_web *web = start_unready(40), *other = NULL;
    attune_web_options options;
    char reply[4096];
    attune_web_options_default(&options);
    cr_assert_eq(sscanf(attune_web_url(web), "http://127.0.0.1:%d/", &options.port), 1);
    cr_assert_eq(attune_web_start(&other, &options), ATTUNE_ECREATE);
    cr_assert_null(other);
    struct pollfd waiting = {.fd = send_to(web, GET "\r\n"), .events = POLLIN};
    cr_assert_eq(poll(&waiting, 1, 100), 0);
    attune_web_serve(web, answer, NULL);
    hear(waiting.fd, reply);
    cr_assert(strstr(reply, "200 OK"), "%s", reply);
    attune_web_stop(web);
    web = start_unready(40);
    waiting.fd = send_to(web, GET "\r\n");
    cr_assert_eq(poll(&waiting, 1, 100), 0);
    attune_web_stop(web);
    hear(waiting.fd, reply);
    cr_assert(!strstr(reply, "200 OK"), "%s", reply);
}

/* A byte now and then, and none at all: both are sent away after the time that a request may take,
 * by the tick alone, while others are answered. */
Test(server, slow_clients)
{
    enum { SLOW = 8, STEPS = 200 };
    attune_web *web = start(1);
    char reply[4096];
    int fds[SLOW], open = SLOW;
    for (int i = 0; i < SLOW; i++) {
        fds[i] = connect_to(web);
    }
    for (int step = 0; step < STEPS && open > 0; step++) {
        for (int i = 0; i < SLOW; i++) {
            struct pollfd poll_one = {.fd = fds[i], .events = POLLIN};
            if (fds[i] >= 0 && i % 2) {
                send(fds[i], "G", 1, MSG_NOSIGNAL);
            }
            if (fds[i] >= 0 && poll(&poll_one, 1, 0) == 1) {
                while (recv(fds[i], reply, sizeof(reply), 0) > 0) {
                }
                close(fds[i]);
                fds[i] = -1;
                open--;
            }
        }
        if (step % 10 == 0) {
            ask(web, reply, GET "\r\n");
            cr_assert(strstr(reply, "200 OK"), "%s", reply);
        }
        attune_web_tick(web);
        usleep(50000);
    }
    cr_assert_eq(open, 0, "%d slow clients still connected", open);
    attune_web_stop(web);
}

/* A body longer than it said, or than may be, and a header that has no end. */
Test(server, too_large)
{
    enum { MUCH = 100000 };
    attune_web *web = start(40);
    static char request[MUCH + 512];
    char reply[4096];
    int length = snprintf(request, sizeof(request),
                          "POST /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                          "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        length += sprintf(request + length, "400\r\n%0*d\r\n", 1024, 0);
    }
    sprintf(request + length, "0\r\n\r\n");
    ask(web, reply, request);
    cr_assert(strstr(reply, " 413 "), "%s", reply);
    length = snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    memset(request + length, 'x', MUCH);
    const int fd = connect_to(web);
    for (int i = 0; i < 100 && send(fd, request, MUCH, MSG_NOSIGNAL) > 0; i++) {
        if (recv(fd, reply, sizeof(reply), MSG_DONTWAIT) >= 0) {
            break; /* refused, while we are still sending */
        }
    }
    close(fd);
    ask(web, reply, GET "\r\n");
    cr_assert(strstr(reply, "200 OK"), "%s", reply);
    attune_web_stop(web);
}
