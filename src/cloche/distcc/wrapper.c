/* cloche-distcc: distcc(1), but a host is disliked only for what the local compiler can do.
 *
 * distcc 3.4 dislikes a host for a minute as soon as a compile fails there, and a configure script
 * has many compiles that fail. Here distcc is run with DISTCC_SKIP_LOCAL_RETRY, which dislikes
 * nobody. If the compile failed on a host, distcc is run again with localhost alone; only if that
 * succeeds, the host's back-off file is written, as dcc_mark_timefile() of distcc writes it.
 *
 * Everything else is distcc's: which calls are compiles, which host is used, hosts that do not
 * answer, the compiler's name, the slots of localhost. What distcc writes to standard error is held
 * until it ends: the messages of a host are dropped when the local compiler has its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "cloche-distcc"
#define DEFAULT_PORT 3632
#define LOCAL_SLOTS "4"          /* distcc's own default for what it runs itself */
#define HELD_MOST (16u << 20)    /* longer messages are passed on while they come */

struct text { char *data; size_t length; };

/* What distcc said of a compile. */
struct outcome {
    char host[1024];             /* where it failed, as the list of hosts has it; "" for nowhere */
    char input[1024];
    int ran_here;                /* distcc compiled it again itself */
    int not_pump;                /* although the host could, this was preprocessed here */
};

static volatile sig_atomic_t child, received;

static void pass_on(int number) {
    received = number;
    if (child > 0)
        kill(child, number);
}

/* Handle what ends a program; what is ignored, as under nohup(1), stays ignored. */
static void set_signals(void (*handler)(int)) {
    static const int caught[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    struct sigaction ours = {.sa_handler = handler}, before;

    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
        if (!sigaction(caught[i], NULL, &before) && before.sa_handler != SIG_IGN)
            sigaction(caught[i], &ours, NULL);
}

/* Fork; no signal is lost on the way. The child ends with this process, however that ends. */
static pid_t fork_distcc(void) {
    sigset_t all, before;
    pid_t parent = getpid(), made;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    child = made = fork();
    if (made == 0) {
        set_signals(SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(1);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return made;
}

static void put(int fd, const char *data, size_t length) {
    while (length) {
        ssize_t done = write(fd, data, length);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;              /* distcc does not mind either */
        data += done;
        length -= done;
    }
}

static void add(struct text *text, const char *data, size_t length) {
    char *more = realloc(text->data, text->length + length + 1);

    if (!more) {
        put(STDERR_FILENO, data, length);
        return;
    }
    memcpy(more + text->length, data, length);
    text->data = more;
    text->length += length;
    more[text->length] = '\0';
}

/* Where distcc is: $CLOCHE_DISTCC, or the first on PATH that is not this program. */
static char *find_distcc(void) {
    static char place[8192];
    const char *named = getenv("CLOCHE_DISTCC"), *path = getenv("PATH");
    struct stat own, found;

    if (named && *named)
        return strdup(named);
    if (!path)
        path = "/usr/local/bin:/usr/bin:/bin";
    if (stat("/proc/self/exe", &own))
        memset(&own, 0, sizeof own);
    for (;; path++) {
        size_t length = strcspn(path, ":");
        snprintf(place, sizeof place, "%.*s/distcc", length ? (int)length : 1, length ? path : ".");
        if (!access(place, X_OK) && !stat(place, &found) && S_ISREG(found.st_mode)
            && (found.st_dev != own.st_dev || found.st_ino != own.st_ino))
            return place;
        path += length;
        if (!*path)
            return NULL;
    }
}

static void become(const char *distcc, char **argv) {
    execv(distcc, argv);
    fprintf(stderr, NAME ": %s: %s\n", distcc, strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

/* Whether distcc may send this to a host. A file of arguments is distcc's to read. */
static int may_be_sent(char **argv) {
    int compiles = 0;

    for (char **each = argv + 1; *each; each++) {
        if (**each == '@')
            return 1;
        if (!strcmp(*each, "-E"))
            return 0;
        compiles |= !strcmp(*each, "-c") || !strcmp(*each, "-S");
    }
    return compiles;
}

/* Read the host and the file from "compile FILE on HOST failed", "… failed with exit code N" and
 * "compile FILE on HOST: Killed". A host has no spaces. */
static void read_failure(const char *line, size_t length, struct outcome *out) {
    static const char verb[] = "ERROR: compile ";
    const char *end = line + length, *on = NULL, *host;
    const char *file = memmem(line, length, verb, strlen(verb));

    if (!file)
        return;
    file += strlen(verb);
    for (const char *p = file; (p = memmem(p, end - p, " on ", 4)); p += 4)
        on = p;
    if (!on)
        return;
    host = on + 4;
    length = strcspn(host, " \n");
    if (length && host[length - 1] == ':')
        length--;                /* of the form with a signal */
    if (length == 9 && !strncmp(host, "localhost", length))
        return;
    snprintf(out->host, sizeof out->host, "%.*s", (int)length, host);
    snprintf(out->input, sizeof out->input, "%.*s", (int)(on - file), file);
    out->ran_here = 0;
}

/* Read what this process of distcc said of the compile; or copy its lines to a descriptor. */
static void read_log(const struct text *text, pid_t pid, struct outcome *out, int copy_to) {
    char mark[32];
    const char *line = text->data, *end = line + text->length, *next;
    size_t marked = snprintf(mark, sizeof mark, "distcc[%d] ", (int)pid);

    for (; line && line < end; line = next) {
        next = memchr(line, '\n', end - line);
        next = next ? next + 1 : end;
        if ((size_t)(next - line) < marked || memcmp(line, mark, marked))
            continue;
        if (copy_to >= 0) {
            put(copy_to, line, next - line);
            continue;
        }
        read_failure(line, next - line, out);
        if (memmem(line, next - line, "running locally instead", 23))
            out->ran_here = 1;
        if (memmem(line, next - line, "preprocessing locally", 21)
            || memmem(line, next - line, "cannot use distcc_pump", 22))
            out->not_pump = 1;
    }
}

/* The place of distcc's log if it is not standard error, and how distcc is told of another. */
static int log_place(const char **variable) {
    const char *file = getenv("DISTCC_LOG"), *number = getenv("UNCACHED_ERR_FD");

    if (file && *file) {
        *variable = "DISTCC_LOG";
        return open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    }
    *variable = "UNCACHED_ERR_FD";
    return number && atoi(number) > STDERR_FILENO ? fcntl(atoi(number), F_DUPFD_CLOEXEC, 3) : -1;
}

static void start(const char *distcc, char **argv, int errors, int log, const char *variable) {
    char place[64];

    setenv("DISTCC_SKIP_LOCAL_RETRY", "1", 1);
    dup2(errors, STDERR_FILENO);
    if (log >= 0) {
        int kept = dup(log);     /* stays open in distcc */
        snprintf(place, sizeof place, *variable == 'D' ? "/proc/self/fd/%d" : "%d", kept);
        setenv(variable, place, 1);
    }
    become(distcc, argv);
}

/* Take what is there. False at the end. */
static int take(int fd, struct text *text, int pass_to) {
    char piece[65536];
    ssize_t length = read(fd, piece, sizeof piece);

    if (length < 0)
        return errno == EINTR;
    if (length == 0)
        return 0;
    add(text, piece, length);
    if (pass_to >= 0)
        put(pass_to, piece, length);
    return 1;
}

static int wait_for_child(void) {
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return 1 << 8;
    child = 0;
    return status;
}

/* Wait for the child; hold its messages, pass its log on. The streams may stay open longer, in an
 * ssh that serves later connections. */
static int watch(int errors, int log, int log_to, struct text *held, struct text *logged,
                 struct outcome *out) {
    int pidfd = syscall(SYS_pidfd_open, (pid_t)child, 0);
    struct pollfd polled[] = {
        {.fd = errors, .events = POLLIN}, {.fd = log, .events = POLLIN},
        {.fd = pidfd, .events = POLLIN},
    };
    int ended = 0;

    while (!ended || polled[0].revents & POLLIN || polled[1].revents & POLLIN) {
        if (poll(polled, 3, ended ? 0 : -1) < 0) {
            if (errno != EINTR)
                break;
            polled[0].revents = polled[1].revents = 0;
            continue;
        }
        ended |= polled[2].revents || (polled[0].fd < 0 && pidfd < 0);
        if (polled[1].revents && !take(log, logged, log_to))
            polled[1].fd = -1;
        if (polled[0].revents && !take(errors, held, -1))
            polled[0].fd = -1;
        if (held->length > HELD_MOST) {
            read_log(held, child, out, -1);
            put(STDERR_FILENO, held->data, held->length);
            held->length = 0;
        }
    }
    return wait_for_child();
}

/* End as distcc ended. */
static int finish(int status) {
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
        return 128 + WTERMSIG(status);
    }
    return WEXITSTATUS(status);
}

static const char *top_dir(void) {
    static char place[4096];
    const char *named = getenv("DISTCC_DIR"), *home = getenv("HOME");

    if (named)
        return named;
    snprintf(place, sizeof place, "%s/.distcc", home ? home : "");
    return home ? place : NULL;
}

/* The name of the back-off file, of dcc_make_lock_filename(): HOST, HOST:PORT, [V6]:PORT, USER@HOST,
 * with /LIMIT before or after the port, and ,OPTIONS. */
static int backoff_name(const char *spec, char *name, size_t room) {
    const char *at = strchr(spec, '@'), *start = at ? at + 1 : spec;
    size_t length = strcspn(start, *start == '[' && !at ? "/]," : "/:,");
    int port = DEFAULT_PORT;

    if (!at && *start == '[')
        start++, length--;
    if (!length)
        return 0;
    if (at)
        return snprintf(name, room, "backoff_ssh_%.*s_0", (int)length, start) < (int)room;
    for (const char *rest = start + length; *rest && *rest != ','; rest++)
        if (*rest == ':') {
            port = atoi(rest + 1);
            break;
        }
    return snprintf(name, room, "backoff_tcp_%.*s_%d_0", (int)length, start, port) < (int)room;
}

/* Write the host's back-off file, or remove it. */
static void judge(const char *host, int blame) {
    char name[2048], place[8192];
    const char *top = top_dir(), *period = getenv("DISTCC_BACKOFF_PERIOD");
    int fd;

    if (!top || (period && !atoi(period)) || !backoff_name(host, name, sizeof name))
        return;
    snprintf(place, sizeof place, "%s/lock/%s", top, name);
    if (!blame) {
        unlink(place);
        return;
    }
    if ((fd = open(place, O_WRONLY | O_CREAT | O_CLOEXEC, 0666)) < 0) {
        fprintf(stderr, NAME ": %s: %s\n", place, strerror(errno));
        return;
    }
    put(fd, "x", 1);
    close(fd);
}

/* In pump mode a compile can fail because a header was not sent: nothing that the host did. distcc
 * counts these in a file, and goes back to plain mode when there are too many; so is it done here.
 * False if the compile was not in pump mode. */
static int counted_for_pump(const struct outcome *out) {
    static const char end[] = "/socket";
    const char *server = getenv("INCLUDE_SERVER_PORT"), *most = getenv("DISTCC_MAX_DISCREPANCY");
    const char *options = strchr(out->host, ',');
    size_t length = server ? strlen(server) : 0;
    char place[8192];
    struct stat count;
    int fd;

    if (!options || !strstr(options, ",cpp") || out->not_pump || length < strlen(end)
        || strcmp(server + length - strlen(end), end) || getenv("CPATH")
        || getenv("C_INCLUDE_PATH") || getenv("CPLUS_INCLUDE_PATH"))
        return 0;
    length -= strlen(end);
    snprintf(place, sizeof place, "%.*s/discrepancy_counter", (int)length, server);
    if (!stat(place, &count) && count.st_size >= (most ? atoi(most) : 1))
        return 0;
    if ((fd = open(place, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666)) < 0)
        return 0;
    put(fd, "@", 1);
    close(fd);
    return 1;
}

/* How many compiles distcc runs here at once: --localslots=N of the list of hosts. */
static void local_slots(char *slots, size_t room) {
    static const char word[] = "--localslots";
    char text[65536] = "", place[4096];
    const char *given = getenv("DISTCC_HOSTS"), *top = top_dir();
    FILE *file = NULL;

    if (!given && top) {
        snprintf(place, sizeof place, "%s/hosts", top);
        file = fopen(place, "re");
    }
    if (!given && !file)
        file = fopen("/etc/distcc/hosts", "re");
    if (file) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
    }
    for (const char *p = given ? given : text; *p; p += strcspn(p, " #\t\n\f\r")) {
        p += strspn(p, " \t\n\f\r");
        if (*p == '#')
            p += strcspn(p, "\r\n");
        else if (!strncmp(p, word, strlen(word)) && *(p + strlen(word))
                 && strchr("=/", p[strlen(word)]) && atoi(p + strlen(word) + 1) > 0)
            snprintf(slots, room, "%d", atoi(p + strlen(word) + 1));
    }
}

/* Let distcc compile it here. */
static int compile_here(const char *distcc, char **argv) {
    char slots[32] = LOCAL_SLOTS, hosts[64];

    local_slots(slots, sizeof slots);
    snprintf(hosts, sizeof hosts, "localhost/%s", slots);
    if (fork_distcc() == 0) {
        setenv("DISTCC_HOSTS", hosts, 1);
        become(distcc, argv);
    }
    return wait_for_child();
}

/* Say something where distcc says it, in its form. */
static void say(int fd, pid_t pid, const char *form, const char *word) {
    char line[4096];
    int length = snprintf(line, sizeof line, "distcc[%d] (" NAME ") Warning: ", (int)pid);

    length += snprintf(line + length, sizeof line - length, form, word);
    if (length < (int)sizeof line)
        put(fd, line, length);
}

/* The compile failed on a host: see whether it succeeds here. */
static int again(const char *distcc, char **argv, pid_t pid, struct outcome *out, int say_to) {
    int status;

    say(say_to, pid, "remote compilation of '%s' failed, retrying locally\n", out->input);
    status = compile_here(distcc, argv);
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return finish(status);
    say(say_to, pid, "remote compilation of '%s' failed, retried locally and got a different "
        "result.\n", out->input);
    if (!counted_for_pump(out))
        judge(out->host, 1);
    return 0;
}

static int supervise(const char *distcc, char **argv) {
    int errors[2], log[2] = {-1, -1}, status;
    const char *variable;
    int log_to = log_place(&variable);
    struct text held = {0}, logged = {0};
    struct outcome out = {0};
    sighandler_t before;
    pid_t pid;

    if (pipe2(errors, O_CLOEXEC) || (log_to >= 0 && pipe2(log, O_CLOEXEC)))
        become(distcc, argv);
    set_signals(pass_on);
    pid = fork_distcc();
    if (pid < 0)
        become(distcc, argv);
    if (pid == 0)
        start(distcc, argv, errors[1], log[1], variable);
    before = signal(SIGPIPE, SIG_IGN);
    close(errors[1]);
    if (log[1] >= 0)
        close(log[1]);
    status = watch(errors[0], log[0], log_to, &held, &logged, &out);
    read_log(&held, pid, &out, -1);
    read_log(&logged, pid, &out, -1);
    if (WIFEXITED(status) && WEXITSTATUS(status) && *out.host && !out.ran_here && !received) {
        read_log(&held, pid, &out, STDERR_FILENO);
        signal(SIGPIPE, before);
        return again(distcc, argv, pid, &out, log_to >= 0 ? log_to : STDERR_FILENO);
    }
    put(STDERR_FILENO, held.data, held.length);
    if (*out.host && out.ran_here && WIFEXITED(status) && WEXITSTATUS(status))
        judge(out.host, 0);      /* its compiler was ended by a signal, and failed here, too */
    return finish(status);
}

int main(int argc, char **argv) {
    static char name[] = "distcc";
    const char *called = argc ? strrchr(argv[0], '/') : NULL, *distcc = find_distcc();
    const char *fallback = getenv("DISTCC_FALLBACK");

    called = called ? called + 1 : argc ? argv[0] : name;
    if (!distcc) {
        fputs(NAME ": distcc is not on PATH\n", stderr);
        return 127;
    }
    if (argc && strstr(called, "distcc"))
        argv[0] = name;
    if (getenv("_DISTCC_SAFEGUARD") || getenv("DISTCC_SKIP_LOCAL_RETRY") || !may_be_sent(argv))
        become(distcc, argv);
    if (fallback && !strcmp(fallback, "0")) {
        setenv("DISTCC_SKIP_LOCAL_RETRY", "1", 1);   /* nothing is known of the host then */
        become(distcc, argv);
    }
    return supervise(distcc, argv);
}
