/* audio_name.c - extensions that are audio, and such as lie beside audio and are none. */
#include "engine/audio_name.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

static const char *const audio[] = {
    "aac", "ac3", "aif", "aifc", "aiff", "alac", "amr", "ape",  "asf", "au",   "awb",
    "caf", "dff", "dsf", "dts",  "eac3", "flac", "m4a", "m4b",  "mka", "mp1",  "mp2",
    "mp3", "mp4", "mpa", "mpc",  "mpga", "oga",  "ogg", "opus", "ra",  "rf64", "shn",
    "snd", "spx", "tak", "tta",  "voc",  "w64",  "wav", "wave", "wma", "wv",
};

static const char *const other[] = {
    "7z",   "accurip", "bmp", "bz2",  "c",    "cpp",  "css",     "csv",   "cue",  "db",     "doc",
    "docx", "epub",    "exe", "ffp",  "gif",  "gz",   "h",       "h5",    "hdf5", "htm",    "html",
    "ico",  "ini",     "iso", "jpeg", "jpg",  "js",   "json",    "jsonl", "lock", "log",    "lrc",
    "m3u",  "m3u8",    "md",  "md5",  "nfo",  "npy",  "npz",     "odt",   "onnx", "pdf",    "pls",
    "png",  "psd",     "pt",  "py",   "rar",  "rtf",  "sfv",     "sh",    "sha1", "sha256", "so",
    "srt",  "svg",     "tar", "tif",  "tiff", "toml", "torrent", "tsv",   "txt",  "url",    "webp",
    "xls",  "xlsx",    "xml", "xspf", "xz",   "yaml", "yml",     "zip",   "zst",
};

static int is_one_of(const char *extension, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(extension, list[i]) == 0) {
            return 1;
        }
    }
    return 0;
}

attune_audio_name attune_audio_name_kind(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (!dot || !dot[1]) {
        return ATTUNE_AUDIO_NAME_UNKNOWN;
    }
    if (is_one_of(dot + 1, audio, sizeof(audio) / sizeof(audio[0]))) {
        return ATTUNE_AUDIO_NAME_YES;
    }
    return is_one_of(dot + 1, other, sizeof(other) / sizeof(other[0])) ? ATTUNE_AUDIO_NAME_NO
                                                                       : ATTUNE_AUDIO_NAME_UNKNOWN;
}
