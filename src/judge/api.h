/* api.h - what the page and the session say to each other: HTTP's paths, JSON in and out.
 *
 *   GET  /, /results, /judge.js ...                    the page's files
 *   POST /api/listener {"name": "Ann"}                 {"listener": "3", "name": "Ann", "study":
 *                                                      text that is another for other triplets or
 *                                                      another output}; the same name is the same
 *                                                      listener
 *   GET  /api/next?listener=3                          {"task": "17", "clips": [{"id": "51",
 *                                                      "seconds": 15.0}, two more, in the order to
 *                                                      show], "done": 12, "left": 48, "total": 60,
 *                                                      "lost": threes that cannot be played, tried
 *                                                      again when nothing else is left,
 *                                                      "expected_gain": bits that the next 50
 *                                                      answers are expected to tell, or null,
 *                                                      "then": {"task", "clips": [{"id"}, ...]},
 *                                                      what will probably follow, or null}
 *                                                      or {"finished": true, "done": 60, ...}
 *   POST /api/answer {"listener": "3", "task": "17", "pair": ["51", "52"], "seconds": 9.2,
 *                     "replays": [1, 2, 1]}            {"ok": true, "done": 13, "left": 47}; the
 *                                                      first of the pair is the anchor; the last
 *                                                      two may be left out; twice is as once
 *   POST /api/skip {"listener": "3", "task": "17"}     the same
 *   POST /api/undo {"listener": "3"}                   as /api/next, with the task taken back; with
 *                                                      "task", only if that is the last
 *   GET  /api/clip/51                                  audio/wav; ranges
 *   GET  /api/clip/51/waveform                         {"peaks": [0 to 1, 600 of them], "seconds"}
 *   GET  /api/results                                  judge/report.h
 *
 * A failure is {"error": "one line"}: 400 not what is said above, 403 too many
 * listeners, 404 no such thing (of /api/next and others: no such listener), 405, 409 another answer
 * is there, or nothing to take back, 503 not kept: to be tried again. Ids are numbers in text; no
 * path of a request ever reaches a file system. Names of songs are not told, for they would bias.
 */
#ifndef ATTUNE_SRC_JUDGE_API_H
#define ATTUNE_SRC_JUDGE_API_H

#include "judge/session.h"
#include "web/server.h"

typedef struct attune_judge_api {
    attune_session *session;
    attune_clips *clips;
    uint32_t songs; /* clips have the numbers 1 to songs */
    char study[17];
} attune_judge_api;

/* An attune_web_handler; `api` is an attune_judge_api. */
void attune_judge_handle(void *api, attune_web_reply *reply, const attune_web_request *request);

#endif
