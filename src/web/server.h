/* server.h - HTTP for the pages that a command serves: the plumbing, over libmicrohttpd.
 *
 * A thread for each connection, so that a handler may wait for a disk; a limit on connections, on
 * those of one address, on headers (32 KiB), on a body, on the time that a request may take to
 * arrive and an answer to be taken. Tokens and rates are gate.h's. Every reply carries headers that
 * keep a browser from running, framing or guessing what was not meant. */
#ifndef ATTUNE_SRC_WEB_SERVER_H
#define ATTUNE_SRC_WEB_SERVER_H

#include "attune/status.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct attune_web attune_web;

typedef struct attune_web_request {
    bool post;        /* else GET; HEAD is answered as GET without the body */
    const char *path; /* "/api/next", unescaped but for a NUL, without the query */
    const char *body; /* of a POST, JSON by its content type; NUL behind it */
    size_t body_size;
    void *connection; /* for attune_web_query */
} attune_web_request;

/* The value of `name` in the query; NULL if there is none. */
const char *attune_web_query(const attune_web_request *request, const char *name);

typedef struct attune_web_reply {
    int status;        /* 200, ... */
    const char *type;  /* "application/json" */
    const void *bytes; /* (size) */
    size_t size;
    bool parts;                   /* a Range header may ask for a part of it */
    void (*release)(void *owner); /* called when the bytes are not needed any more; or NULL */
    void *owner;
} attune_web_reply;

/* Fills a reply that is all zeros. Called from many threads at once. */
typedef void (*attune_web_handler)(void *user, attune_web_reply *reply,
                                   const attune_web_request *request);

typedef struct attune_web_options {
    const char *address; /* "127.0.0.1" */
    int port;            /* 0: any that is free */
    const char *token;   /* NULL: none */
    double rate;         /* requests a second of one address; 0: no limit */
    double patience;     /* seconds for a request to arrive, also the time between two */
} attune_web_options;

/* This machine alone, any port, no token, 50 requests a second, 40 seconds. */
void attune_web_options_default(attune_web_options *options);

/* Takes the port; requests wait until attune_web_serve. So what a server keeps on the disk need not
 * be touched where the port cannot be had. ATTUNE_ECREATE when it is in use. On failure *out is
 * NULL. */
attune_status attune_web_start(attune_web **out, const attune_web_options *options);

/* Has the handler answer from now on. To be called once. */
void attune_web_serve(attune_web *web, attune_web_handler handler, void *user);

/* Where it can be reached: "http://127.0.0.1:8080/". */
const char *attune_web_url(const attune_web *web);

/* Ends connections that have taken too long. To be called about once a second. */
void attune_web_tick(attune_web *web);

/* Waits for the handlers that run. NULL-safe. */
void attune_web_stop(attune_web *web);

#endif
