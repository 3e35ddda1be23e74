/* log.c - what libav says about a file, caught instead of printed. */
#include "audio/log.h"

#include "status/error.h"

#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

static _Thread_local attune_audio_log *current;
static pthread_once_t installed = PTHREAD_ONCE_INIT;

static bool is_demuxer(const AVClass *class, void *object)
{
    AVClassCategory category = AV_CLASS_CATEGORY_NA;
    if (class) {
        category = class->get_category ? class->get_category(object) : class->category;
    }
    return category == AV_CLASS_CATEGORY_DEMUXER;
}

static void catch_message(void *object, int level, const char *format, va_list arguments)
{
    attune_audio_log *log = current;
    if (!log) {
        av_log_default_callback(object, level, format, arguments);
        return;
    }
    level &= 0xff; /* the bits above are a colour */
    const AVClass *class = object ? *(const AVClass **)object : NULL;
    bool demuxer_error = level <= AV_LOG_ERROR && is_demuxer(class, object);
    bool first_error = demuxer_error && log->demuxer_errors++ == 0;
    bool most_severe = level <= AV_LOG_WARNING && level < log->level;
    if (!most_severe && !first_error) {
        return;
    }
    char text[sizeof(log->text)] = "";
    int length = 0;
    /* The item's name without libav's usual "@ address", which would differ from run to run. */
    if (class && class->item_name) {
        length = snprintf(text, sizeof(text), "%s: ", class->item_name(object));
    }
    if (length >= 0 && (size_t)length < sizeof(text)) {
        vsnprintf(text + length, sizeof(text) - (size_t)length, format, arguments);
    }
    if (first_error) {
        attune_one_line(log->demuxer_text, sizeof(log->demuxer_text), text);
    }
    if (most_severe) {
        attune_one_line(log->text, sizeof(log->text), text);
        log->level = level;
    }
}

static void install(void)
{
    av_log_set_callback(catch_message);
    av_max_alloc(ATTUNE_AUDIO_ALLOCATION_MAX);
}

void attune_audio_log_enter(attune_audio_log *log)
{
    pthread_once(&installed, install);
    current = log;
}

void attune_audio_log_leave(void)
{
    current = NULL;
}

void attune_audio_log_clear(attune_audio_log *log)
{
    log->level = AV_LOG_WARNING + 1;
    log->text[0] = '\0';
}

void attune_audio_log_clear_demuxer(attune_audio_log *log)
{
    log->demuxer_errors = 0;
    log->demuxer_text[0] = '\0';
}
