/* api.c - requests to calls of the session, results to JSON. The interface is in api.h. */
#include "judge/api.h"

#include "judge/page.h"
#include "judge/report.h"
#include "status/error.h"
#include "status/json.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- replies ---- */

static void reply_text(attune_web_reply *reply, int status, char *text)
{
    static const char failed[] = "{\"error\": \"out of memory\"}\n";
    *reply = (attune_web_reply){.status = text ? status : 503,
                                .type = "application/json",
                                .bytes = text ? text : failed,
                                .size = strlen(text ? text : failed),
                                .release = text ? free : NULL,
                                .owner = text};
}

/* Gives `object` up; NULL is want of memory. */
static void reply_json(attune_web_reply *reply, int status, json_t *object)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    json_decref(object);
    reply_text(reply, status, text);
}

static void refuse(attune_web_reply *reply, int status, const char *format, ...)
    ATTUNE_PRINTF(3, 4);

static void refuse(attune_web_reply *reply, int status, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    reply_json(reply, status, json_pack("{s:s}", "error", text));
}

/* Says why something was not done; true if it was. */
static bool is_done(attune_web_reply *reply, attune_judged judged)
{
    switch (judged) {
    case ATTUNE_JUDGED:
        return true;
    case ATTUNE_JUDGED_NOBODY:
        refuse(reply, 404, "no such listener; say your name again");
        break;
    case ATTUNE_JUDGED_NOTHING:
        refuse(reply, 404, "no such task, or not with these clips");
        break;
    case ATTUNE_JUDGED_OTHERWISE:
        refuse(reply, 409, "there is another answer already, or none to take back");
        break;
    case ATTUNE_JUDGED_TOO_MANY:
        refuse(reply, 403, "there are %d listeners, and no more are taken", ATTUNE_LISTENERS_MAX);
        break;
    case ATTUNE_JUDGED_NOT_KEPT:
        refuse(reply, 503, "not saved; try again, and tell the one who runs this");
        break;
    }
    return false;
}

/* ---- what is in a request ---- */

/* "51" to 51; 0 for what is no number from 1 to a billion. */
static uint32_t number_of(const char *text)
{
    uint32_t value = 0;
    const size_t length = text ? strlen(text) : 0;
    if (length == 0 || length > 9 || strspn(text, "0123456789") != length || text[0] == '0') {
        return 0;
    }
    for (size_t i = 0; i < length; i++) {
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    return value;
}

static uint32_t number_in(const json_t *object, const char *key)
{
    return number_of(json_string_value(json_object_get(object, key)));
}

/* The body, an object; NULL if it is none, which is then said. */
static json_t *body_of(attune_web_reply *reply, const attune_web_request *request)
{
    json_error_t error;
    json_t *body = json_loadb(request->body, request->body_size, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(body)) {
        return body;
    }
    json_decref(body);
    refuse(reply, 400, "the body is no JSON object");
    return NULL;
}

/* 1 to 64 characters, none of them a control character, not all spaces. jansson has seen to it that
 * it is UTF-8 without NUL. */
static bool is_name(const char *name)
{
    size_t characters = 0;
    bool seen = false;
    for (const unsigned char *c = (const void *)name; *c; c++) {
        characters += (*c & 0xc0) != 0x80;
        seen |= *c != ' ';
        if (*c < 0x20 || *c == 0x7f || (c[0] == 0xc2 && c[1] < 0xa0)) {
            return false;
        }
    }
    return seen && characters <= ATTUNE_LISTENER_NAME_MAX;
}

/* ---- the session ---- */

static void post_listener(attune_judge_api *api, attune_web_reply *reply, json_t *body)
{
    const char *name = json_string_value(json_object_get(body, "name"));
    char number[16];
    uint32_t listener = 0;
    if (!name || !is_name(name)) {
        refuse(reply, 400, "a name has 1 to %d characters", ATTUNE_LISTENER_NAME_MAX);
    } else if (is_done(reply, attune_session_listener(api->session, &listener, name))) {
        snprintf(number, sizeof(number), "%" PRIu32, listener);
        reply_json(
            reply, 200,
            json_pack("{s:s, s:s, s:s}", "listener", number, "name", name, "study", api->study));
    }
}

/* {"task", "clips"}; `seconds` may be NULL. */
static json_t *task_json(uint32_t task, const uint32_t song[3], const double *seconds)
{
    char text[16];
    json_t *clips = json_array();
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), "%" PRIu32, song[i] + 1);
        json_t *clip = json_pack("{s:s}", "id", text);
        if (seconds) {
            json_object_set_new(clip, "seconds", json_real(seconds[i]));
        }
        json_array_append_new(clips, clip);
    }
    snprintf(text, sizeof(text), "%" PRIu32, task);
    return json_pack("{s:s, s:o}", "task", text, "clips", clips);
}

static void reply_offer(attune_web_reply *reply, const attune_offer *offer)
{
    json_t *object = offer->finished ? json_pack("{s:b}", "finished", 1)
                                     : task_json(offer->task, offer->song, offer->seconds);
    json_t *numbers =
        json_pack("{s:i, s:i, s:i, s:i, s:o, s:o}", "done", (int)offer->done, "left",
                  (int)offer->left, "total", (int)(offer->done + offer->left), "lost",
                  (int)offer->lost, "expected_gain", attune_json_number(offer->gain), "then",
                  offer->then ? task_json(offer->then, offer->then_song, NULL) : json_null());
    json_object_update(object, numbers);
    json_decref(numbers);
    reply_json(reply, 200, object);
}

static void get_next(attune_judge_api *api, attune_web_reply *reply,
                     const attune_web_request *request)
{
    attune_offer offer;
    const uint32_t listener = number_of(attune_web_query(request, "listener"));
    if (is_done(reply, attune_session_next(api->session, &offer, listener))) {
        reply_offer(reply, &offer);
    }
}

/* Three counts, or nothing. */
static bool take_replays(uint32_t out[3], const json_t *replays)
{
    for (size_t i = 0; replays && i < 3; i++) {
        const json_t *count = json_array_get(replays, i);
        const json_int_t value = json_integer_value(count);
        if (!json_is_integer(count) || value < 0 || value > ATTUNE_REPLAYS_MAX) {
            return false;
        }
        out[i] = (uint32_t)value;
    }
    return !replays || json_array_size(replays) == 3;
}

/* Reads an answer or, without a pair, a skip; false if it is none. */
static bool take_reply(attune_reply *out, const attune_judge_api *api, const json_t *body,
                       bool skip)
{
    static const double day = 86400;
    const json_t *pair = json_object_get(body, "pair"), *seconds = json_object_get(body, "seconds");
    *out = (attune_reply){
        .listener = number_in(body, "listener"), .task = number_in(body, "task"), .skip = skip};
    if (skip) {
        return true;
    }
    const uint32_t anchor = number_of(json_string_value(json_array_get(pair, 0)));
    const uint32_t positive = number_of(json_string_value(json_array_get(pair, 1)));
    const double spent = json_number_value(seconds);
    if (json_array_size(pair) != 2 || anchor < 1 || anchor > api->songs || positive < 1 ||
        positive > api->songs || (seconds && !json_is_number(seconds)) || !(spent >= 0) ||
        !take_replays(out->replays, json_object_get(body, "replays"))) {
        return false;
    }
    out->anchor = anchor - 1;
    out->positive = positive - 1;
    out->seconds = (float)(spent < day ? spent : day);
    return true;
}

static void post_answer(attune_judge_api *api, attune_web_reply *reply, const json_t *body,
                        bool skip)
{
    attune_reply answer;
    uint32_t done = 0, left = 0;
    if (!take_reply(&answer, api, body, skip)) {
        refuse(reply, 400, "is no answer: listener, task, pair, seconds, replays");
    } else if (is_done(reply, attune_session_answer(api->session, &done, &left, &answer))) {
        reply_json(reply, 200,
                   json_pack("{s:b, s:i, s:i}", "ok", 1, "done", (int)done, "left", (int)left));
    }
}

static void post_undo(attune_judge_api *api, attune_web_reply *reply, const json_t *body)
{
    attune_offer offer;
    const uint32_t task = number_in(body, "task");
    if (json_object_get(body, "task") && task == 0) {
        refuse(reply, 400, "the task is no number");
    } else if (is_done(reply, attune_session_undo(api->session, &offer, number_in(body, "listener"),
                                                  task))) {
        reply_offer(reply, &offer);
    }
}

static void post(attune_judge_api *api, attune_web_reply *reply, const attune_web_request *request)
{
    static const char *const paths[] = {"/api/listener", "/api/answer", "/api/skip", "/api/undo"};
    int which = 0;
    while (which < 4 && strcmp(request->path, paths[which]) != 0) {
        which++;
    }
    json_t *body = which < 4 ? body_of(reply, request) : NULL;
    if (which == 4) {
        refuse(reply, 404, "nothing can be posted there");
    } else if (body && which == 0) {
        post_listener(api, reply, body);
    } else if (body && which == 3) {
        post_undo(api, reply, body);
    } else if (body) {
        post_answer(api, reply, body, which == 2);
    }
    json_decref(body);
}

/* ---- clips ---- */

static void release_clip(void *clip)
{
    attune_clips_release(clip);
}

static json_t *waveform_of(const attune_clip_wav *clip)
{
    json_t *peaks = json_array();
    for (int i = 0; i < ATTUNE_CLIP_PEAKS; i++) {
        json_array_append_new(peaks, json_real(round(clip->peaks[i] / 0.255) / 1000));
    }
    return json_pack("{s:o, s:f}", "peaks", peaks, "seconds", clip->seconds);
}

/* "/api/clip/" is before `rest`. */
static void get_clip(attune_judge_api *api, attune_web_reply *reply, const char *rest)
{
    char number[16];
    const attune_clip_wav *clip = NULL;
    const size_t length = strcspn(rest, "/");
    const bool waveform = strcmp(rest + length, "/waveform") == 0;
    snprintf(number, sizeof(number), "%.*s", (int)(length < sizeof(number) ? length : 0), rest);
    const uint32_t song = number_of(number);
    if ((rest[length] && !waveform) || song == 0 || song > api->songs) {
        refuse(reply, 404, "no such clip");
    } else if (attune_clips_hold(&clip, api->clips, song - 1) != ATTUNE_OK) {
        refuse(reply, 404, "this clip cannot be played");
    } else if (waveform) {
        reply_json(reply, 200, waveform_of(clip));
        attune_clips_release(clip);
    } else {
        *reply = (attune_web_reply){.status = 200,
                                    .type = "audio/wav",
                                    .bytes = clip->bytes,
                                    .size = clip->size,
                                    .parts = true,
                                    .release = release_clip,
                                    .owner = (void *)clip};
    }
}

/* ---- results, and the page ---- */

static void write_report(void *text, const attune_panel *panel, attune_active *active)
{
    *(char **)text = attune_judge_report_json(panel, active, false);
}

static void get_results(attune_judge_api *api, attune_web_reply *reply)
{
    char *text = NULL;
    attune_session_look(api->session, write_report, &text);
    reply_text(reply, 200, text);
}

void attune_judge_handle(void *user, attune_web_reply *reply, const attune_web_request *request)
{
    static const char clip[] = "/api/clip/";
    attune_judge_api *api = user;
    attune_page_file file;
    if (request->post) {
        post(api, reply, request);
    } else if (strcmp(request->path, "/api/next") == 0) {
        get_next(api, reply, request);
    } else if (strcmp(request->path, "/api/results") == 0) {
        get_results(api, reply);
    } else if (strncmp(request->path, clip, sizeof(clip) - 1) == 0) {
        get_clip(api, reply, request->path + sizeof(clip) - 1);
    } else if (attune_page_find(&file, request->path)) {
        *reply = (attune_web_reply){
            .status = 200, .type = file.type, .bytes = file.bytes, .size = file.size};
    } else {
        refuse(reply, 404, "no such page");
    }
}
