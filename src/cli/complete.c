/* Shell completions, from the tables of verbs and flags. `tributary completions bash|zsh|fish`. */
#include <string.h>

#include "cli/cli.h"

static void words(struct trib_buf *to, const char *choices)
{
    for (; *choices != '\0'; choices++) {
        trib_buf_addc(to, *choices == '|' ? ' ' : *choices);
    }
}

/* What may stand behind the verb: its choices; for `help` the verbs. */
static void arguments(struct trib_buf *to, const struct trib_verb *v)
{
    size_t n;
    const struct trib_verb *const *verbs = trib_verbs_table(&n);
    if (v->choices != NULL) {
        words(to, v->choices);
    }
    for (size_t i = 0, k = 0; i < n && strcmp(v->name, "help") == 0; i++) {
        if (!verbs[i]->hidden) {
            trib_buf_addf(to, "%s%s", k++ > 0 ? " " : "", verbs[i]->name);
        }
    }
}

static bool has_arguments(const struct trib_verb *v) { return v->choices != NULL || strcmp(v->name, "help") == 0; }

static bool is_file(const struct trib_flag *f)
{
    return f->value != NULL && (strcmp(f->value, "FILE") == 0 || strcmp(f->value, "DIR") == 0);
}

static void bash_flags(struct trib_buf *to, const struct trib_verb *v)
{
    size_t n;
    const struct trib_flag *all = trib_flags_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (trib_verb_takes(v, &all[i])) {
            trib_buf_addf(to, " --%s", all[i].name);
        }
    }
}

static void bash(struct trib_buf *to)
{
    size_t n, n_verbs;
    const struct trib_flag *all = trib_flags_table(&n);
    const struct trib_verb *const *verbs = trib_verbs_table(&n_verbs);
    trib_buf_adds(
        to,
        "# bash completion for tributary: tributary completions bash > /etc/bash_completion.d/tributary\n"
        "_tributary() {\n  local cur prev verb w skip=0\n  cur=${COMP_WORDS[COMP_CWORD]}\n  prev=${COMP_WORDS[COMP_CWORD-1]}\n  case $prev in\n");
    for (size_t i = 0; i < n; i++) {
        const struct trib_flag *f = &all[i];
        if (f->later != NULL || f->value == NULL) {
            continue;
        }
        trib_buf_addf(to, "    --%s", f->name);
        if (f->letter != 0) {
            trib_buf_addf(to, "|-%c", f->letter);
        }
        if (f->kind == TRIB_FLAG_CHOICE) {
            trib_buf_adds(to, ") COMPREPLY=($(compgen -W \"");
            words(to, f->value);
            trib_buf_adds(to, "\" -- \"$cur\")); return ;;\n");
        } else {
            trib_buf_adds(to, is_file(f) ? ") COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n"
                                         : ") COMPREPLY=(); return ;;\n");
        }
    }
    trib_buf_adds(
        to,
        "  esac\n  for w in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n    if ((skip)); then skip=0; continue; fi\n    case $w in\n      ");
    for (size_t i = 0, k = 0; i < n; i++) {
        if (all[i].later == NULL && all[i].value != NULL) {
            trib_buf_addf(to, "%s--%s", k++ > 0 ? "|" : "", all[i].name);
            if (all[i].letter != 0) {
                trib_buf_addf(to, "|-%c", all[i].letter);
            }
        }
    }
    trib_buf_adds(
        to,
        ") skip=1 ;;\n      -*) ;;\n      *) verb=$w; break ;;\n    esac\n  done\n  case $verb in\n    '') COMPREPLY=($(compgen -W \"");
    for (size_t i = 0; i < n_verbs; i++) {
        if (!verbs[i]->hidden) {
            trib_buf_addf(to, "%s ", verbs[i]->name);
        }
    }
    bash_flags(to, NULL);
    trib_buf_adds(to, "\" -- \"$cur\")) ;;\n");
    for (size_t i = 0; i < n_verbs; i++) {
        if (!verbs[i]->hidden) {
            trib_buf_addf(to, "    %s) COMPREPLY=($(compgen -W \"", verbs[i]->name);
            arguments(to, verbs[i]);
            bash_flags(to, verbs[i]);
            trib_buf_adds(to, "\" -- \"$cur\")) ;;\n");
        }
    }
    trib_buf_adds(to, "  esac\n}\ncomplete -o default -F _tributary tributary\n");
}

/* Single-quoted for zsh's _arguments and fish: quotes doubled out, brackets and colons escaped where asked. */
static void quoted(struct trib_buf *to, const char *s, const char *escape)
{
    for (; *s != '\0'; s++) {
        if (*s == '\'') {
            trib_buf_adds(to, "'\\''");
        } else {
            if (strchr(escape, *s) != NULL) {
                trib_buf_addc(to, '\\');
            }
            trib_buf_addc(to, *s);
        }
    }
}

static void zsh_flags(struct trib_buf *to, const struct trib_verb *v, const char *indent)
{
    size_t n;
    const struct trib_flag *all = trib_flags_table(&n);
    for (size_t i = 0; i < n; i++) {
        const struct trib_flag *f = &all[i];
        if (!trib_verb_takes(v, f)) {
            continue;
        }
        for (int letter = 0; letter <= (f->letter != 0); letter++) {
            trib_buf_addf(to, "%s'%s", indent, f->kind == TRIB_FLAG_LIST ? "*" : "");
            if (letter) {
                trib_buf_addf(to, "-%c", f->letter);
            } else {
                trib_buf_addf(to, "--%s", f->name);
            }
            trib_buf_adds(to, f->value != NULL && !letter ? "=[" : "[");
            quoted(to, f->text, "[]:\\");
            trib_buf_addc(to, ']');
            if (f->value != NULL) {
                trib_buf_adds(to, ":value:");
                if (f->kind == TRIB_FLAG_CHOICE) {
                    trib_buf_addc(to, '(');
                    words(to, f->value);
                    trib_buf_addc(to, ')');
                } else if (is_file(f)) {
                    trib_buf_adds(to, "_files");
                }
            }
            trib_buf_adds(to, "' \\\n");
        }
    }
}

static void zsh(struct trib_buf *to)
{
    size_t n;
    const struct trib_verb *const *verbs = trib_verbs_table(&n);
    trib_buf_adds(
        to,
        "#compdef tributary\n# zsh completion for tributary: tributary completions zsh > a folder of $fpath, as _tributary\n"
        "_tributary() {\n  local curcontext=$curcontext state line\n  typeset -A opt_args\n  _arguments -C \\\n");
    zsh_flags(to, NULL, "    ");
    trib_buf_adds(to, "    '1: :->verb' '*:: :->rest'\n  case $state in\n    verb)\n      local -a verbs=(\n");
    for (size_t i = 0; i < n; i++) {
        if (!verbs[i]->hidden) {
            trib_buf_addf(to, "        '%s:", verbs[i]->name);
            quoted(to, verbs[i]->summary, "\\");
            trib_buf_adds(to, "'\n");
        }
    }
    trib_buf_adds(to, "      )\n      _describe verb verbs ;;\n    rest)\n      case $words[1] in\n");
    for (size_t i = 0; i < n; i++) {
        if (!verbs[i]->hidden) {
            trib_buf_addf(to, "        %s) _arguments \\\n", verbs[i]->name);
            zsh_flags(to, verbs[i], "          ");
            if (has_arguments(verbs[i])) {
                trib_buf_adds(to, "          '1:argument:(");
                arguments(to, verbs[i]);
                trib_buf_adds(to, ")' ;;\n");
            } else {
                trib_buf_adds(to, "          '*:argument:_files' ;;\n");
            }
        }
    }
    trib_buf_adds(
        to,
        "      esac ;;\n  esac\n}\nif [ \"$funcstack[1]\" = _tributary ]; then _tributary \"$@\"; else compdef _tributary tributary; fi\n");
}

static void fish_flag(struct trib_buf *to, const struct trib_flag *f, const char *verb)
{
    trib_buf_adds(to, "complete -c tributary");
    if (verb != NULL) {
        trib_buf_addf(to, " -n '__fish_seen_subcommand_from %s'", verb);
    }
    trib_buf_addf(to, " -l %s", f->name);
    if (f->letter != 0) {
        trib_buf_addf(to, " -s %c", f->letter);
    }
    if (f->value != NULL) {
        trib_buf_adds(to, is_file(f) ? " -r -F" : " -x");
    }
    if (f->kind == TRIB_FLAG_CHOICE) {
        trib_buf_adds(to, " -a '");
        words(to, f->value);
        trib_buf_addc(to, '\'');
    }
    trib_buf_adds(to, " -d '");
    for (const char *s = f->text; *s != '\0'; s++) { /* fish: backslash escapes inside single quotes */
        if (*s == '\'' || *s == '\\') {
            trib_buf_addc(to, '\\');
        }
        trib_buf_addc(to, *s);
    }
    trib_buf_adds(to, "'\n");
}

static void fish(struct trib_buf *to)
{
    size_t n, n_flags;
    const struct trib_verb *const *verbs = trib_verbs_table(&n);
    const struct trib_flag *all = trib_flags_table(&n_flags);
    trib_buf_adds(
        to,
        "# fish completion for tributary: tributary completions fish > ~/.config/fish/completions/tributary.fish\n");
    for (size_t i = 0; i < n; i++) {
        const struct trib_verb *v = verbs[i];
        if (v->hidden) {
            continue;
        }
        trib_buf_addf(to, "complete -c tributary -n __fish_use_subcommand -x -a %s -d \"%s\"\n", v->name, v->summary);
        if (has_arguments(v)) {
            trib_buf_addf(to, "complete -c tributary -n '__fish_seen_subcommand_from %s' -x -a '", v->name);
            arguments(to, v);
            trib_buf_adds(to, "'\n");
        }
        for (size_t k = 0; k < n_flags; k++) {
            if (!all[k].common && trib_verb_takes(v, &all[k])) {
                fish_flag(to, &all[k], v->name);
            }
        }
    }
    for (size_t k = 0; k < n_flags; k++) {
        if (all[k].common) {
            fish_flag(to, &all[k], NULL);
        }
    }
}

int trib_cli_completions(const char *shell, struct trib_buf *to, struct trib_err *err)
{
    static const struct {
        const char *name;
        void (*make)(struct trib_buf *);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].make(to);
            return 0;
        }
    }
    return trib_err_set(err, TRIB_E_USAGE, "`%s` is none of bash, zsh, fish", shell);
}
