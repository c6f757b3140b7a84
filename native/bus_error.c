/* A file that becomes shorter while it is mapped into memory, or a disk that is full under a mapped file, ends a process
   with SIGBUS. `bus_error_in_one_line` makes that one line on standard error and an exit code.

   The handler calls nothing but open, read, write, close and _exit, which are safe in a signal handler (POSIX.1-2017,
   section 2.4.3). The name of the file is that of the mapping in /proc/self/maps where the fault lies; where there is no
   such list, the line names no file. */

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#define LONGEST 4096
#define TEXT(text) say(text, sizeof(text) - 1)

static int exit_code = 3;
static char line[LONGEST];

static void say(const char *text, size_t n) {
    while (n > 0) {
        ssize_t done = write(STDERR_FILENO, text, n);
        if (done <= 0) return;
        text += done;
        n -= (size_t)done;
    }
}

/* The hexadecimal number at *text, which moves behind it. */
static uintptr_t hexadecimal(const char **text) {
    uintptr_t value = 0;
    for (;; ++*text) {
        char c = **text;
        if (c >= '0' && c <= '9') value = value * 16 + (uintptr_t)(c - '0');
        else if (c >= 'a' && c <= 'f') value = value * 16 + (uintptr_t)(c - 'a' + 10);
        else return value;
    }
}

/* Whether the mapping of a line "from-to permissions offset device inode  path" holds an address. */
static int holds(uintptr_t address) {
    const char *place = line;
    uintptr_t from = hexadecimal(&place);
    if (*place++ != '-') return 0;
    return from <= address && address < hexadecimal(&place);
}

static void say_path(void) {
    const char *path = strchr(line, '/');
    if (path == NULL) return;
    size_t n = 0;
    while (path[n] != '\0' && (unsigned char)path[n] >= ' ' && path[n] != 127) ++n;
    say(path, n);
    TEXT(": ");
}

static void say_file_at(uintptr_t address) {
    int maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (maps < 0) return;
    size_t n = 0;
    char c;
    while (read(maps, &c, 1) == 1) {
        if (c != '\n') {
            if (n < LONGEST - 1) line[n++] = c;
            continue;
        }
        line[n] = '\0';
        n = 0;
        if (holds(address)) {
            say_path();
            break;
        }
    }
    close(maps);
}

static void on_bus_error(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    TEXT("mrftool: ");
    say_file_at((uintptr_t)info->si_addr);
    TEXT("became shorter while it was in use, or its disk is full, expected a file that stays as it is\n");
    _exit(exit_code);
}

__attribute__((visibility("default"))) int bus_error_in_one_line(int code) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO;
    exit_code = code;
    return sigaction(SIGBUS, &action, NULL);
}
