/* length.c - the length that a header declares, against what was read. */
#include "audio/length.h"

#include <stdint.h>
#include <string.h>

/* What a header may claim too much: careless ones count themselves in. */
static const double TOLERANCE_SECONDS = 0.01, TOLERANCE_BYTES = 128;

/* libav forgets the number: where the file is shorter it goes by the file. But it leaves the file
 * at the first sample, and in front of that stands the length. */
int64_t attune_audio_declared_bytes(AVFormatContext *format)
{
    AVIOContext *io = format->pb;
    const int64_t first = avio_tell(io);
    const bool wave64 = strcmp(format->iformat->name, "w64") == 0;
    if ((!wave64 && strcmp(format->iformat->name, "wav") != 0) || first < 8) {
        return 0;
    }
    int64_t length = 0;
    avio_seek(io, 0, SEEK_SET);
    const uint32_t form = avio_rl32(io);
    avio_seek(io, first - 8, SEEK_SET);
    if (wave64) {
        length = (int64_t)avio_rl64(io) - 24; /* the chunk's head is counted in */
    } else if (avio_rl32(io) == MKTAG('d', 'a', 't', 'a')) {
        length = form == MKTAG('R', 'I', 'F', 'X') ? avio_rb32(io) : avio_rl32(io);
    }
    if (length == UINT32_MAX &&
        (form == MKTAG('R', 'F', '6', '4') || form == MKTAG('B', 'W', '6', '4'))) {
        avio_seek(io, 28, SEEK_SET); /* its chunk ds64 is the first */
        length = (int64_t)avio_rl64(io);
    }
    avio_seek(io, first, SEEK_SET);
    return length > 0 ? length : 0;
}

/* Headers written before the length was known say 2 or 4 GiB, more or less, and SoX 16 MiB less
 * than 2 GiB. */
static bool is_unknown(double bytes)
{
    const double two = 0x80000000, four = 0x100000000;
    return (bytes > two - 0x1002000 && bytes < two + 0x1000) ||
           (bytes > four - 0x20000 && bytes <= four);
}

double attune_audio_missing_seconds(const attune_audio_source *source)
{
    const char *format = source->format->iformat->name;
    const AVStream *stream = source->format->streams[source->stream_index];
    const AVCodecParameters *codec = stream->codecpar;
    const int bits = av_get_exact_bits_per_sample(codec->codec_id);
    /* Not codec->bit_rate, which is the header's own and may be anything. */
    const double bytes_per_second =
        (double)codec->sample_rate * codec->ch_layout.nb_channels * bits / 8;
    double declared = 0; /* bytes */
    if (bits < 8 || bytes_per_second <= 0) {
        return 0;
    }
    if (source->declared_bytes > 0) {
        declared = (double)source->declared_bytes;
    } else if (strcmp(format, "caf") == 0) {
        declared = (double)stream->nb_frames / codec->sample_rate * bytes_per_second;
    } else if ((strcmp(format, "aiff") == 0 || strcmp(format, "au") == 0) && stream->duration > 0) {
        declared = (double)stream->duration * av_q2d(stream->time_base) * bytes_per_second;
    }
    const double missing = declared - source->clock.decoded_seconds * bytes_per_second;
    const bool told = missing > TOLERANCE_BYTES && missing > TOLERANCE_SECONDS * bytes_per_second &&
                      !is_unknown(declared);
    return told ? missing / bytes_per_second : 0;
}

bool attune_audio_is_whole(const attune_audio_source *source)
{
    const AVStream *stream = source->format->streams[source->stream_index];
    const double declared = (double)stream->duration * av_q2d(stream->time_base);
    return strcmp(source->format->iformat->name, "flac") == 0 && stream->duration > 0 &&
           (declared - source->clock.decoded_seconds) * stream->codecpar->sample_rate < 0.5;
}
