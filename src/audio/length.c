/* length.c - the length that a header declares, against what was read. */
#include "audio/length.h"

#include <stdint.h>
#include <string.h>

/* What a header may claim too much, in seconds: careless ones count themselves in. */
static const double TOLERANCE = 0.01;

/* Chunks in front of a WAV file's samples; more are no header. */
enum { CHUNKS_MAX = 1000 };

/* Headers written before the length was known say 2 or 4 GiB, or a little less. */
static bool is_unknown(int64_t bytes)
{
    const int64_t slack = 0x2000;
    const int64_t two = (int64_t)1 << 31, four = (int64_t)1 << 32;
    return bytes <= 0 || (bytes > two - slack && bytes <= two) || bytes > four - slack;
}

/* Bytes of samples that a RIFF header declares behind the file's end. libav has forgotten the
 * number: it takes the file's own length where that is less. */
static int64_t riff_missing_bytes(AVIOContext *io)
{
    int64_t size = avio_size(io);
    if (size < 0 || avio_seek(io, 0, SEEK_SET) < 0 || avio_rl32(io) != MKTAG('R', 'I', 'F', 'F')) {
        return 0; /* RF64 among them, whose length is elsewhere */
    }
    avio_skip(io, 8);
    for (int i = 0; i < CHUNKS_MAX && !avio_feof(io); i++) {
        uint32_t tag = avio_rl32(io);
        int64_t length = avio_rl32(io);
        if (tag == MKTAG('d', 'a', 't', 'a')) {
            return is_unknown(length) ? 0 : avio_tell(io) + length - size;
        }
        avio_skip(io, length + length % 2);
    }
    return 0;
}

double attune_audio_missing_seconds(const attune_audio_source *source)
{
    const char *format = source->format->iformat->name;
    const AVStream *stream = source->format->streams[source->stream_index];
    const AVCodecParameters *codec = stream->codecpar;
    double bytes_per_second = (double)codec->bit_rate / 8, missing = 0;
    if (av_get_exact_bits_per_sample(codec->codec_id) < 8 || bytes_per_second <= 0 ||
        codec->sample_rate <= 0) {
        return 0;
    }
    if (strcmp(format, "wav") == 0) {
        missing = (double)riff_missing_bytes(source->format->pb) / bytes_per_second;
    } else if (strcmp(format, "aiff") == 0 || strcmp(format, "au") == 0) {
        double declared = (double)stream->duration * av_q2d(stream->time_base);
        missing = is_unknown((int64_t)(declared * bytes_per_second))
                      ? 0
                      : declared - source->clock.decoded_seconds;
    } else if (strcmp(format, "caf") == 0) {
        missing = (double)stream->nb_frames / codec->sample_rate - source->clock.decoded_seconds;
    }
    return missing > TOLERANCE ? missing : 0;
}
