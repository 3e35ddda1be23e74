/* nearest_page.c - the page of `attune nearest --html`. */
#include "cli/nearest_page.h"

#include "cli/track_name.h"

#include <stdlib.h>

static const char head[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\">\n"
    "<head>\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>attune: tracks alike</title>\n"
    "<style>\n"
    ":root { color-scheme: light dark; }\n"
    "body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto;\n"
    "  padding: 0 1rem; }\n"
    "h1 { font-size: 1.3rem; overflow-wrap: anywhere; }\n"
    "ol { padding-left: 2.5rem; }\n"
    "li { margin: 1rem 0; overflow-wrap: anywhere; }\n"
    "audio { display: block; width: 100%; margin-top: .3rem; }\n"
    ".where { font-size: .875rem; }\n"
    "</style>\n"
    "</head>\n"
    "<body>\n"
    "<main>\n";

/* Text of a path, for an element or an attribute in double quotes. */
static bool write_escaped(FILE *stream, char *text)
{
    for (const char *at = text; at && *at; at++) {
        switch (*at) {
        case '&':
            fputs("&amp;", stream);
            break;
        case '<':
            fputs("&lt;", stream);
            break;
        case '>':
            fputs("&gt;", stream);
            break;
        case '"':
            fputs("&quot;", stream);
            break;
        default:
            fputc(*at, stream);
        }
    }
    free(text);
    return text != NULL;
}

bool nearest_page_begin(FILE *stream, const nearest_arguments *a)
{
    bool done = true;
    fputs(head, stream);
    fputs(a->path ? "<h1>From " : "<h1>Nearest to ", stream);
    for (size_t i = 0; done && i < a->query_count; i++) {
        fputs(i == 0 ? "" : a->path ? " to " : ", ", stream);
        done = write_escaped(stream, track_title(a->queries[i]));
    }
    fputs("</h1>\n<ol>\n", stream);
    return done;
}

bool nearest_page_track(FILE *stream, const char *root, const char *path, double cosine)
{
    char *location = track_location(root, path);
    fputs("<li><strong>", stream);
    bool done = location && write_escaped(stream, track_title(path));
    fputs("</strong>\n<div class=\"where\">", stream);
    done = done && write_escaped(stream, track_text(path));
    fprintf(stream, " &middot; cosine %.4f</div>\n<audio controls preload=\"none\" aria-label=\"",
            cosine);
    done = done && write_escaped(stream, track_title(path));
    fputs("\" src=\"", stream);
    if (done) {
        write_url(stream, location);
    }
    fputs("\"></audio></li>\n", stream);
    free(location);
    return done;
}

void nearest_page_end(FILE *stream)
{
    fputs("</ol>\n</main>\n</body>\n</html>\n", stream);
}
