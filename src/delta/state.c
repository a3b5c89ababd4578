/*
 * Log replay: actions in log order → the state of the table. A hash map from a file's identity (path, vector) to its place;
 * an add makes it live, a remove makes it a tombstone, whichever came last.
 */
#include <stdlib.h>
#include <xxhash.h>

#include "delta/internal.h"

struct file {
    struct trib_add a;
    int64_t deleted_ms;
    bool removed;
    uint64_t hash;
};

struct trib_log_state {
    struct file *files;
    size_t n_files, cap_files;
    uint32_t *slots; /* index + 1 of a file; 0: free */
    size_t n_slots;  /* a power of two, or 0 */
    struct trib_txn *txns;
    size_t n_txns, cap_txns;
    struct trib_domain *domains;
    size_t n_domains, cap_domains;
    bool has_metadata, has_protocol;
    struct trib_metadata metadata;
    struct trib_protocol protocol;
    int64_t timestamp_ms;
};

struct trib_log_state *trib_log_state_new(void) { return trib_calloc(1, sizeof(struct trib_log_state)); }

void trib_log_state_free(struct trib_log_state *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->n_files; i++) {
        trib_add_free(&s->files[i].a);
    }
    for (size_t i = 0; i < s->n_txns; i++) {
        free(s->txns[i].app_id);
    }
    for (size_t i = 0; i < s->n_domains; i++) {
        free(s->domains[i].domain);
        free(s->domains[i].configuration);
    }
    free(s->files);
    free(s->slots);
    free(s->txns);
    free(s->domains);
    trib_metadata_free(&s->metadata);
    trib_protocol_free(&s->protocol);
    free(s);
}

static uint64_t hash_of(const struct trib_add *a)
{
    uint64_t h = XXH3_64bits(a->path, strlen(a->path));
    if (a->dv != NULL) {
        h ^= XXH3_64bits_withSeed(a->dv->text, strlen(a->dv->text),
                                  (uint64_t)a->dv->offset + (unsigned char)a->dv->storage);
    }
    return h;
}

static void rehash(struct trib_log_state *s)
{
    size_t n = s->n_slots == 0 ? 64 : s->n_slots * 2;
    free(s->slots);
    s->slots = trib_calloc(n, sizeof *s->slots);
    s->n_slots = n;
    for (size_t i = 0; i < s->n_files; i++) {
        size_t slot = s->files[i].hash & (n - 1);
        while (s->slots[slot] != 0) {
            slot = (slot + 1) & (n - 1);
        }
        s->slots[slot] = (uint32_t)(i + 1);
    }
}

/* Takes the file; what stood under its identity before is dropped. */
static void put_file(struct trib_log_state *s, struct file f)
{
    f.hash = hash_of(&f.a);
    if (s->n_files * 2 >= s->n_slots) {
        rehash(s);
    }
    size_t slot = f.hash & (s->n_slots - 1);
    for (; s->slots[slot] != 0; slot = (slot + 1) & (s->n_slots - 1)) {
        struct file *old = &s->files[s->slots[slot] - 1];
        if (old->hash == f.hash && strcmp(old->a.path, f.a.path) == 0 && trib_dv_same(old->a.dv, f.a.dv)) {
            trib_add_free(&old->a);
            *old = f;
            return;
        }
    }
    TRIB_GROW(s->files, s->cap_files, s->n_files + 1);
    s->files[s->n_files++] = f;
    s->slots[slot] = (uint32_t)s->n_files;
}

static void put_txn(struct trib_log_state *s, struct trib_txn txn)
{
    for (size_t i = 0; i < s->n_txns; i++) {
        if (strcmp(s->txns[i].app_id, txn.app_id) == 0) {
            free(s->txns[i].app_id);
            s->txns[i] = txn;
            return;
        }
    }
    TRIB_GROW(s->txns, s->cap_txns, s->n_txns + 1);
    s->txns[s->n_txns++] = txn;
}

static void put_domain(struct trib_log_state *s, struct trib_domain d, bool removed)
{
    size_t i = 0;
    while (i < s->n_domains && strcmp(s->domains[i].domain, d.domain) != 0) {
        i++;
    }
    if (i < s->n_domains) {
        free(s->domains[i].domain);
        free(s->domains[i].configuration);
        if (removed) {
            s->domains[i] = s->domains[--s->n_domains];
        }
    }
    if (removed) {
        free(d.domain);
        free(d.configuration);
        return;
    }
    if (i == s->n_domains) {
        TRIB_GROW(s->domains, s->cap_domains, s->n_domains + 1);
        s->n_domains++;
    }
    s->domains[i] = d;
}

void trib_log_state_apply(struct trib_log_state *s, struct trib_action *a, int64_t version)
{
    switch (a->kind) {
    case TRIB_ACTION_ADD:
        a->u.add.version = version;
        put_file(s, (struct file){.a = a->u.add});
        break;
    case TRIB_ACTION_REMOVE:
        a->u.remove.file.version = version;
        put_file(s, (struct file){.a = a->u.remove.file, .deleted_ms = a->u.remove.deleted_ms, .removed = true});
        break;
    case TRIB_ACTION_METADATA:
        trib_metadata_free(&s->metadata);
        s->metadata = a->u.metadata;
        s->has_metadata = true;
        break;
    case TRIB_ACTION_PROTOCOL:
        trib_protocol_free(&s->protocol);
        s->protocol = a->u.protocol;
        s->has_protocol = true;
        break;
    case TRIB_ACTION_TXN: put_txn(s, a->u.txn); break;
    case TRIB_ACTION_DOMAIN: put_domain(s, a->u.domain.d, a->u.domain.removed); break;
    case TRIB_ACTION_INFO:
        s->timestamp_ms = a->u.info.in_commit_ms >= 0 ? a->u.info.in_commit_ms : a->u.info.timestamp_ms;
        trib_action_free(a);
        break;
    case TRIB_ACTION_SIDECAR:
    case TRIB_ACTION_OTHER: trib_action_free(a); break;
    }
    a->kind = TRIB_ACTION_OTHER;
}

void trib_log_state_take(struct trib_log_state *s, struct trib_snapshot *from)
{
    for (size_t i = 0; i < from->n_adds; i++) {
        put_file(s, (struct file){.a = from->adds[i]});
    }
    for (size_t i = 0; i < from->n_removes; i++) {
        put_file(s,
                 (struct file){.a = from->removes[i].file, .deleted_ms = from->removes[i].deleted_ms, .removed = true});
    }
    for (size_t i = 0; i < from->n_txns; i++) {
        put_txn(s, from->txns[i]);
    }
    for (size_t i = 0; i < from->n_domains; i++) {
        put_domain(s, from->domains[i], false);
    }
    free(from->adds);
    free(from->removes);
    free(from->txns);
    free(from->domains);
    from->adds = NULL;
    from->removes = NULL;
    from->txns = NULL;
    from->domains = NULL;
    from->n_adds = from->n_removes = from->n_txns = from->n_domains = 0;
}

static int by_path(const void *a, const void *b)
{
    const struct trib_add *x = a, *y = b;
    int c = strcmp(x->path, y->path);
    if (c == 0 && x->dv != NULL && y->dv != NULL) {
        c = strcmp(x->dv->text, y->dv->text);
        c = c != 0 ? c : (x->dv->offset > y->dv->offset) - (x->dv->offset < y->dv->offset);
    } else if (c == 0) {
        c = (x->dv != NULL) - (y->dv != NULL);
    }
    return c;
}

static int remove_by_path(const void *a, const void *b)
{
    return by_path(&((const struct trib_remove *)a)->file, &((const struct trib_remove *)b)->file);
}

void trib_log_state_give(struct trib_log_state *s, struct trib_snapshot *to)
{
    size_t n_live = 0;
    for (size_t i = 0; i < s->n_files; i++) {
        n_live += !s->files[i].removed;
    }
    to->adds = trib_calloc(n_live, sizeof *to->adds);
    to->removes = trib_calloc(s->n_files - n_live, sizeof *to->removes);
    to->n_adds = to->n_removes = 0;
    for (size_t i = 0; i < s->n_files; i++) {
        const struct file *f = &s->files[i];
        if (f->removed) {
            to->removes[to->n_removes++] = (struct trib_remove){.file = f->a, .deleted_ms = f->deleted_ms};
        } else {
            to->adds[to->n_adds++] = f->a;
        }
    }
    qsort(to->adds, to->n_adds, sizeof *to->adds, by_path);
    qsort(to->removes, to->n_removes, sizeof *to->removes, remove_by_path);
    to->txns = s->txns;
    to->n_txns = s->n_txns;
    to->domains = s->domains;
    to->n_domains = s->n_domains;
    s->n_files = s->n_txns = s->n_domains = 0;
    s->cap_txns = s->cap_domains = 0;
    s->txns = NULL;
    s->domains = NULL;
    free(s->slots);
    s->slots = NULL;
    s->n_slots = 0;
}

const struct trib_metadata *trib_log_state_metadata(const struct trib_log_state *s)
{
    return s->has_metadata ? &s->metadata : NULL;
}

const struct trib_protocol *trib_log_state_protocol(const struct trib_log_state *s)
{
    return s->has_protocol ? &s->protocol : NULL;
}

int64_t trib_log_state_timestamp(const struct trib_log_state *s) { return s->timestamp_ms; }
