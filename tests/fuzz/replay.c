/*
 * Runs a fuzz target over files, so that the corpora are replayed in every test run, by gcc and without libFuzzer.
 * usage: replay_X FILE|FOLDER...   Prints "N inputs"; exit 1 when there was none. A crash names the file on stderr.
 * One thread; writes nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t inputs;

static void die(const char *what, const char *path)
{
    (void)fprintf(stderr, "%s %s: %s\n", what, path, strerror(errno));
    exit(2);
}

static void replay_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        die("cannot open", path);
    }
    /* An exact allocation, so that the sanitizer sees a read past the end. */
    uint8_t *data = malloc(size > 0 ? size : 1);
    if (data == NULL || fread(data, 1, size, f) != size) {
        die("cannot read", path);
    }
    (void)fclose(f);
    (void)fprintf(stderr, "%s\n", path);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
    inputs++;
}

static void replay(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        die("cannot read", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        replay_file(path, (size_t)st.st_size);
        return;
    }
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort);
    if (n < 0) {
        die("cannot list", path);
    }
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') {
            char *below;
            if (asprintf(&below, "%s/%s", path, entries[i]->d_name) < 0) {
                die("no memory for", path);
            }
            replay(below);
            free(below);
        }
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        replay(argv[i]);
    }
    (void)printf("%zu inputs\n", inputs);
    return inputs > 0 ? 0 : 1;
}
