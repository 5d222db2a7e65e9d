/*
 * A disk and a wall clock that misbehave on command, for one process: loaded with LD_PRELOAD, steered
 * while the process runs by what another one writes into a small shared file (fault-shim.ts).
 *
 * Three things, all for files under one directory, given by the environment:
 *   - syncs and writes that fail, syncs that take long or hang;
 *   - a journal of everything that a power cut could undo, so that power-cut.ts can play one after a
 *     SIGKILL: creations, renames, removals, truncations, bytes overwritten in place, and what each sync
 *     covered. README.md says which model of a file system is behind it;
 *   - CLOCK_REALTIME that is off by an offset.
 *
 * C's own streams write from inside the C library, where nothing can be put in between. LevelDB writes
 * its files so; hence a stream that is opened for writing under the directory is one of ours, with the
 * same buffering, whose bytes go through write_checked().
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* ---- What is shared with whoever steers: offsets stand in fault-shim.ts too. ------------------- */

#define MAGIC 0x4d5246534849000aLL
#define CONTROL_BYTES 4096
#define PREFIX_AT 512

struct control {
  int64_t magic;               /*   0 */
  _Atomic int64_t sync_fails;  /*   8: so many syncs still fail; -1: all that come */
  _Atomic int64_t sync_passes; /*  16: so many pass before the first that fails */
  _Atomic int64_t sync_errno;  /*  24 */
  _Atomic int64_t sync_delay_ms; /* 32 */
  _Atomic int64_t sync_hangs;  /*  40: 1: syncs wait until it is 0 */
  _Atomic int64_t write_fails; /*  48: so many writes still fail; -1: all that come */
  _Atomic int64_t write_errno; /*  56: ENOSPC spares writes that do not make a file longer */
  _Atomic int64_t clock_offset_ns; /* 64 */
  int64_t room[7];
  /* Counted here. */
  _Atomic int64_t syncs;          /* 128 */
  _Atomic int64_t syncs_failed;   /* 136 */
  _Atomic int64_t syncs_delayed;  /* 144 */
  _Atomic int64_t syncs_hanging;  /* 152: now */
  _Atomic int64_t writes;         /* 160 */
  _Atomic int64_t writes_failed;  /* 168 */
  _Atomic int64_t clock_shifted;  /* 176 */
  _Atomic int64_t processes;      /* 184: that loaded this library */
};

static struct control *control;
static char base[PATH_MAX];
static size_t base_length;
static char attic[PATH_MAX];
static char boot_id_file[PATH_MAX];
static int journal_fd = -1;

/* ---- The real functions. ----------------------------------------------------------------------- */

#define REAL(name) ((__typeof__(&name))real_##name())
#define DEFINE_REAL(name)                              \
  static void *real_##name(void) {                     \
    static _Atomic(void *) found;                      \
    void *f = atomic_load(&found);                     \
    if (f == NULL) {                                   \
      f = dlsym(RTLD_NEXT, #name);                     \
      atomic_store(&found, f);                         \
    }                                                  \
    return f;                                          \
  }

DEFINE_REAL(open64)
DEFINE_REAL(close)
DEFINE_REAL(write)
DEFINE_REAL(writev)
DEFINE_REAL(pwrite64)
DEFINE_REAL(pwritev64)
DEFINE_REAL(ftruncate64)
DEFINE_REAL(fsync)
DEFINE_REAL(fdatasync)
DEFINE_REAL(rename)
DEFINE_REAL(link)
DEFINE_REAL(unlink)
DEFINE_REAL(unlinkat)
DEFINE_REAL(mkdir)
DEFINE_REAL(rmdir)
DEFINE_REAL(fopen64)
DEFINE_REAL(fileno)
DEFINE_REAL(clock_gettime)
DEFINE_REAL(gettimeofday)
DEFINE_REAL(time)

static void die(const char *what) {
  char text[512];
  int length = snprintf(text, sizeof text, "fault shim: %s: %s\n", what, strerror(errno));
  if (length > 0) (void)!REAL(write)(2, text, (size_t)length);
  _exit(97);
}

/* ---- Which files are ours. --------------------------------------------------------------------- */

struct file {
  char *path;
  dev_t dev;
  ino_t ino;
  int is_directory;
};

#define FDS_MAX 65536
static struct file files[FDS_MAX];
/* Guards the table, the journal's order, and overwriting in place against the start of a sync. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int is_under(const char *path) {
  return base_length > 0 && strncmp(path, base, base_length) == 0 &&
         (path[base_length] == '/' || path[base_length] == 0);
}

/* Absolute; does not resolve links. Returns 0 where it does not fit. */
static int absolute(const char *path, char *out) {
  if (path[0] == '/') return snprintf(out, PATH_MAX, "%s", path) < PATH_MAX;
  char cwd[PATH_MAX];
  if (getcwd(cwd, sizeof cwd) == NULL) return 0;
  return snprintf(out, PATH_MAX, "%s/%s", cwd, path) < PATH_MAX;
}

static int is_ours(const char *path, char *full) {
  return base_length > 0 && path != NULL && absolute(path, full) && is_under(full);
}

static struct file *tracked(int fd) {
  if (fd < 0 || fd >= FDS_MAX || files[fd].path == NULL) return NULL;
  return &files[fd];
}

/* Faults may be meant for a part of the directory only. */
static int is_meant(const struct file *file) {
  const char *prefix = (const char *)control + PREFIX_AT;
  return prefix[0] == 0 || strncmp(file->path, prefix, strlen(prefix)) == 0;
}

static void forget(int fd) {
  pthread_mutex_lock(&mutex);
  free(files[fd].path);
  files[fd].path = NULL;
  pthread_mutex_unlock(&mutex);
}

static void wait_ms(int64_t ms) {
  struct timespec rest = {ms / 1000, (ms % 1000) * 1000000};
  while (nanosleep(&rest, &rest) != 0 && errno == EINTR) {
  }
}

/* ---- The journal. ------------------------------------------------------------------------------ */

/* Orders everything in it, over the lives of several processes of one machine. */
static int64_t stamp(void) {
  static int64_t last;
  struct timespec now;
  REAL(clock_gettime)(CLOCK_MONOTONIC, &now);
  int64_t ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
  last = ns > last ? ns : last + 1;
  return last;
}

static void put(const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t done = REAL(write)(journal_fd, bytes, length);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) die("the journal cannot be written");
    bytes += done;
    length -= (size_t)done;
  }
}

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...) {
  char line[4 * PATH_MAX];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (length < 0 || (size_t)length >= sizeof line) {
    errno = ENAMETOOLONG;
    die("a line of the journal");
  }
  put(line, (size_t)length);
}

/* Fields end at blanks. */
static const char *escaped(const char *path, char *out) {
  char *to = out;
  for (const char *from = path; *from != 0 && to < out + 2 * PATH_MAX - 4; from += 1) {
    if (*from == ' ' || *from == '%' || *from == '\n') to += sprintf(to, "%%%02x", *from);
    else *to++ = *from;
  }
  *to = 0;
  return out;
}

#define RECORDS (journal_fd >= 0)
#define ID(s) (unsigned long long)(s).st_dev, (unsigned long long)(s).st_ino
#define FILE_ID(f) (unsigned long long)(f)->dev, (unsigned long long)(f)->ino

/*
 * Files that were removed or replaced are kept for as long as their removal could be undone: a file
 * system writes its own journal within half a minute.
 */
#define ATTIC_KEEPS_NS 60000000000LL
#define ATTIC_MAX 1024
static int64_t kept[ATTIC_MAX];
static unsigned kept_first, kept_count;

static void attic_path(int64_t at, char *out) { snprintf(out, PATH_MAX, "%s/%lld", attic, (long long)at); }

static void keep(int64_t at) {
  char path[PATH_MAX];
  while (kept_count > 0) {
    int64_t oldest = kept[kept_first];
    if (kept_count < ATTIC_MAX && at - oldest < ATTIC_KEEPS_NS) break;
    attic_path(oldest, path);
    REAL(unlink)(path);
    kept_first = (kept_first + 1) % ATTIC_MAX;
    kept_count -= 1;
  }
  kept[(kept_first + kept_count) % ATTIC_MAX] = at;
  kept_count += 1;
}

/* Returns the name it is kept under, 0 if it cannot be kept. */
static int64_t keep_file(const char *path, int64_t at) {
  char to[PATH_MAX];
  attic_path(at, to);
  if (REAL(link)(path, to) != 0) return 0;
  keep(at);
  return at;
}

/* The bytes that a truncation takes away. */
static int64_t keep_tail(int fd, off_t from, off_t to, int64_t at) {
  char path[PATH_MAX], self[64], bytes[65536];
  attic_path(at, path);
  snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  int in = REAL(open64)(self, O_RDONLY | O_CLOEXEC);
  int out = REAL(open64)(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (in < 0 || out < 0) die("what is truncated cannot be kept");
  while (from < to) {
    size_t want = to - from < (off_t)sizeof bytes ? (size_t)(to - from) : sizeof bytes;
    ssize_t got = pread(in, bytes, want, from);
    if (got <= 0) die("what is truncated cannot be read");
    if (REAL(write)(out, bytes, (size_t)got) != got) die("what is truncated cannot be kept");
    from += got;
  }
  REAL(close)(in);
  REAL(close)(out);
  keep(at);
  return at;
}

static void note_truncation(int fd, const struct stat *now, off_t to) {
  if (to >= now->st_size) return;
  int64_t at = stamp();
  keep_tail(fd, to, now->st_size, at);
  note("T %lld %llu:%llu %lld %lld\n", (long long)at, ID(*now), (long long)to,
       (long long)now->st_size);
}

/* Bytes that a write is about to replace. Called with the mutex held, which is let go after the write. */
static void note_overwritten(int fd, const struct file *file, off_t at, size_t length) {
  static const char digits[] = "0123456789abcdef";
  struct stat now;
  if (fstat(fd, &now) != 0 || at >= now.st_size) return;
  if (at + (off_t)length > now.st_size) length = (size_t)(now.st_size - at);
  char self[64];
  snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  int in = REAL(open64)(self, O_RDONLY | O_CLOEXEC);
  unsigned char *old = malloc(length);
  char *line = malloc(2 * length + 256);
  if (in < 0 || old == NULL || line == NULL) die("what is overwritten cannot be kept");
  ssize_t got = pread(in, old, length, at);
  if (got != (ssize_t)length) die("what is overwritten cannot be read");
  REAL(close)(in);
  int head = sprintf(line, "W %lld %llu:%llu %lld ", (long long)stamp(), FILE_ID(file), (long long)at);
  char *to = line + head;
  for (ssize_t i = 0; i < got; i += 1) {
    *to++ = digits[old[i] >> 4];
    *to++ = digits[old[i] & 15];
  }
  *to++ = '\n';
  put(line, (size_t)(to - line));
  free(line);
  free(old);
}

/* ---- Opening and closing. ---------------------------------------------------------------------- */

static void track(int fd, const char *full, const struct stat *opened) {
  pthread_mutex_lock(&mutex);
  if (fd < FDS_MAX) {
    free(files[fd].path);
    files[fd] = (struct file){strdup(full), opened->st_dev, opened->st_ino, S_ISDIR(opened->st_mode)};
    if (files[fd].path == NULL) die("a path");
  }
  pthread_mutex_unlock(&mutex);
}

static int open_checked(const char *path, int flags, mode_t mode) {
  char full[PATH_MAX], text[2 * PATH_MAX];
  if (boot_id_file[0] != 0 && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0) {
    return REAL(open64)(boot_id_file, flags, mode);
  }
  if (!is_ours(path, full)) return REAL(open64)(path, flags, mode);
  int writes = (flags & O_ACCMODE) != O_RDONLY;
  struct stat before, after;
  pthread_mutex_lock(&mutex);
  int existed = stat(full, &before) == 0;
  if (RECORDS && existed && writes && S_ISREG(before.st_mode)) {
    /* Counted as durable only if nothing is known of it: it was there before all this. */
    note("O %lld %llu:%llu %lld\n", (long long)stamp(), ID(before), (long long)before.st_size);
    if ((flags & O_TRUNC) != 0 && before.st_size > 0) {
      int old = REAL(open64)(full, O_RDONLY | O_CLOEXEC);
      if (old >= 0) {
        note_truncation(old, &before, 0);
        REAL(close)(old);
      }
    }
  }
  int fd = REAL(open64)(full, flags, mode);
  int error = errno;
  if (fd >= 0 && fstat(fd, &after) != 0) die("what was opened");
  if (fd >= 0 && RECORDS && !existed) {
    note("C %lld %llu:%llu %s\n", (long long)stamp(), ID(after), escaped(full, text));
  }
  pthread_mutex_unlock(&mutex);
  if (fd >= 0) track(fd, full, &after);
  errno = error;
  return fd;
}

int open64(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
  va_end(args);
  return open_checked(path, flags, mode);
}

int open(const char *path, int flags, ...) {
  va_list args;
  va_start(args, flags);
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
  va_end(args);
  return open_checked(path, flags, mode);
}

int close(int fd) {
  if (tracked(fd) != NULL) forget(fd);
  return REAL(close)(fd);
}

/* ---- Writing. ---------------------------------------------------------------------------------- */

static int takes_one(_Atomic int64_t *left) {
  int64_t now = atomic_load(left);
  while (now != 0) {
    if (now < 0) return 1;
    if (atomic_compare_exchange_weak(left, &now, now - 1)) return 1;
  }
  return 0;
}

/* Whether a write that is ours fails; sets errno. */
static int write_is_refused(const struct file *file, int fd, off_t at, size_t length) {
  if (!is_meant(file)) return 0;
  atomic_fetch_add(&control->writes, 1);
  if (atomic_load(&control->write_fails) == 0) return 0;
  int error = (int)atomic_load(&control->write_errno);
  if (error == ENOSPC) {
    struct stat now;
    if (fstat(fd, &now) == 0 && at + (off_t)length <= now.st_size) return 0;
  }
  if (!takes_one(&control->write_fails)) return 0;
  atomic_fetch_add(&control->writes_failed, 1);
  errno = error;
  return 1;
}

static size_t total(const struct iovec *parts, int count) {
  size_t sum = 0;
  for (int i = 0; i < count; i += 1) sum += parts[i].iov_len;
  return sum;
}

/* at: -1 for where the file stands. */
static ssize_t write_checked(int fd, const struct iovec *parts, int count, off_t at) {
  pthread_mutex_lock(&mutex);
  struct file *file = tracked(fd);
  off_t where = at;
  if (file != NULL && at < 0) {
    int flags = fcntl(fd, F_GETFL);
    where = lseek(fd, 0, (flags & O_APPEND) != 0 ? SEEK_END : SEEK_CUR);
  }
  if (file != NULL && write_is_refused(file, fd, where, total(parts, count))) {
    pthread_mutex_unlock(&mutex);
    return -1;
  }
  if (file != NULL && RECORDS && where >= 0) note_overwritten(fd, file, where, total(parts, count));
  ssize_t done = at < 0 ? REAL(writev)(fd, parts, count) : REAL(pwritev64)(fd, parts, count, at);
  pthread_mutex_unlock(&mutex);
  return done;
}

ssize_t write(int fd, const void *bytes, size_t length) {
  if (tracked(fd) == NULL) return REAL(write)(fd, bytes, length);
  struct iovec part = {(void *)bytes, length};
  return write_checked(fd, &part, 1, -1);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (tracked(fd) == NULL) return REAL(writev)(fd, parts, count);
  return write_checked(fd, parts, count, -1);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
  if (tracked(fd) == NULL) return REAL(pwrite64)(fd, bytes, length, at);
  struct iovec part = {(void *)bytes, length};
  return write_checked(fd, &part, 1, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
  return pwrite64(fd, bytes, length, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  if (tracked(fd) == NULL) return REAL(pwritev64)(fd, parts, count, at);
  return write_checked(fd, parts, count, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  return pwritev64(fd, parts, count, at);
}

int ftruncate64(int fd, off64_t to) {
  pthread_mutex_lock(&mutex);
  struct stat now;
  if (RECORDS && tracked(fd) != NULL && fstat(fd, &now) == 0) note_truncation(fd, &now, to);
  int result = REAL(ftruncate64)(fd, to);
  pthread_mutex_unlock(&mutex);
  return result;
}

int ftruncate(int fd, off_t to) { return ftruncate64(fd, to); }

/* ---- Streams. ---------------------------------------------------------------------------------- */

struct stream {
  FILE *stream;
  int fd;
  struct stream *next;
};

static struct stream *streams;
static pthread_mutex_t streams_mutex = PTHREAD_MUTEX_INITIALIZER;

static ssize_t stream_write(void *cookie, const char *bytes, size_t length) {
  ssize_t done = write(((struct stream *)cookie)->fd, bytes, length);
  /* What a stream of ours has to say of a failure. */
  return done < 0 ? 0 : done;
}

static int stream_seek(void *cookie, off64_t *offset, int whence) {
  off_t at = lseek(((struct stream *)cookie)->fd, *offset, whence);
  if (at < 0) return -1;
  *offset = at;
  return 0;
}

static int stream_close(void *cookie) {
  pthread_mutex_lock(&streams_mutex);
  struct stream **at = &streams;
  while (*at != NULL && *at != cookie) at = &(*at)->next;
  if (*at != NULL) *at = (*at)->next;
  pthread_mutex_unlock(&streams_mutex);
  int result = close(((struct stream *)cookie)->fd);
  free(cookie);
  return result;
}

FILE *fopen64(const char *path, const char *mode) {
  char full[PATH_MAX];
  if (mode[0] == 'r' || !is_ours(path, full)) return REAL(fopen64)(path, mode);
  int flags = O_WRONLY | O_CREAT | (mode[0] == 'a' ? O_APPEND : O_TRUNC);
  if (strchr(mode, 'e') != NULL) flags |= O_CLOEXEC;
  int fd = open_checked(full, flags, 0666);
  if (fd < 0) return NULL;
  struct stream *cookie = malloc(sizeof *cookie);
  cookie_io_functions_t functions = {NULL, stream_write, stream_seek, stream_close};
  FILE *stream = cookie == NULL ? NULL : fopencookie(cookie, mode[0] == 'a' ? "a" : "w", functions);
  if (stream == NULL) die("a stream");
  pthread_mutex_lock(&streams_mutex);
  *cookie = (struct stream){stream, fd, streams};
  streams = cookie;
  pthread_mutex_unlock(&streams_mutex);
  return stream;
}

FILE *fopen(const char *path, const char *mode) { return fopen64(path, mode); }

int fileno(FILE *stream) {
  int fd = -1;
  pthread_mutex_lock(&streams_mutex);
  for (struct stream *at = streams; at != NULL; at = at->next) {
    if (at->stream == stream) fd = at->fd;
  }
  pthread_mutex_unlock(&streams_mutex);
  return fd >= 0 ? fd : REAL(fileno)(stream);
}

int fileno_unlocked(FILE *stream) { return fileno(stream); }

/* ---- Syncing. ---------------------------------------------------------------------------------- */

static int sync_is_refused(void) {
  if (atomic_load(&control->sync_fails) == 0) return 0;
  if (takes_one(&control->sync_passes)) return 0;
  if (!takes_one(&control->sync_fails)) return 0;
  atomic_fetch_add(&control->syncs_failed, 1);
  return 1;
}

static int sync_checked(int fd, int (*real)(int)) {
  char path[2 * PATH_MAX];
  struct stat now;
  pthread_mutex_lock(&mutex);
  struct file *file = tracked(fd);
  if (file == NULL || fstat(fd, &now) != 0) {
    pthread_mutex_unlock(&mutex);
    return real(fd);
  }
  /* What comes while it takes its time may be too late for it. */
  int64_t from = stamp();
  int meant = is_meant(file), is_directory = file->is_directory;
  escaped(file->path, path);
  pthread_mutex_unlock(&mutex);

  int refused = 0;
  if (meant) {
    atomic_fetch_add(&control->syncs, 1);
    if (atomic_load(&control->sync_hangs) != 0) {
      atomic_fetch_add(&control->syncs_hanging, 1);
      while (atomic_load(&control->sync_hangs) != 0) wait_ms(2);
      atomic_fetch_sub(&control->syncs_hanging, 1);
    }
    int64_t delay = atomic_load(&control->sync_delay_ms);
    if (delay > 0) {
      wait_ms(delay);
      atomic_fetch_add(&control->syncs_delayed, 1);
    }
    refused = sync_is_refused();
  }
  int result = refused ? -1 : real(fd);
  int error = refused ? (int)atomic_load(&control->sync_errno) : errno;
  if (RECORDS) {
    pthread_mutex_lock(&mutex);
    int64_t at = stamp();
    if (result == 0 && is_directory) {
      note("D %lld %llu:%llu %lld %s\n", (long long)at, ID(now), (long long)from, path);
    } else if (!is_directory) {
      note("%c %lld %llu:%llu %lld %lld\n", result == 0 ? 'S' : 'F', (long long)at, ID(now),
           (long long)now.st_size, (long long)from);
    }
    pthread_mutex_unlock(&mutex);
  }
  errno = error;
  return result;
}

int fsync(int fd) { return sync_checked(fd, REAL(fsync)); }

int fdatasync(int fd) { return sync_checked(fd, REAL(fdatasync)); }

/* ---- Names. ------------------------------------------------------------------------------------ */

/* A failed change is taken back in the journal, too. */
static int changed(int result, int64_t at) {
  int error = errno;
  if (result != 0) note("N %lld\n", (long long)at);
  errno = error;
  return result;
}

int rename(const char *from, const char *to) {
  char source[PATH_MAX], target[PATH_MAX], a[2 * PATH_MAX], b[2 * PATH_MAX];
  if (!RECORDS || !is_ours(from, source) || !is_ours(to, target)) return REAL(rename)(from, to);
  struct stat moved, replaced;
  pthread_mutex_lock(&mutex);
  int64_t at = stamp(), kept_as = 0;
  memset(&moved, 0, sizeof moved);
  (void)stat(source, &moved);
  if (stat(target, &replaced) == 0 && S_ISREG(replaced.st_mode)) kept_as = keep_file(target, at);
  note("R %lld %llu:%llu %lld %s %s\n", (long long)at, ID(moved), (long long)kept_as,
       escaped(source, a), escaped(target, b));
  int result = changed(REAL(rename)(source, target), at);
  pthread_mutex_unlock(&mutex);
  return result;
}

int link(const char *from, const char *to) {
  char target[PATH_MAX], text[2 * PATH_MAX];
  if (!RECORDS || !is_ours(to, target)) return REAL(link)(from, to);
  struct stat linked;
  pthread_mutex_lock(&mutex);
  int64_t at = stamp();
  memset(&linked, 0, sizeof linked);
  (void)stat(from, &linked);
  note("L %lld %llu:%llu %s\n", (long long)at, ID(linked), escaped(target, text));
  int result = changed(REAL(link)(from, target), at);
  pthread_mutex_unlock(&mutex);
  return result;
}

static int unlink_checked(const char *full) {
  char text[2 * PATH_MAX];
  struct stat removed;
  pthread_mutex_lock(&mutex);
  int64_t at = stamp();
  memset(&removed, 0, sizeof removed);
  (void)stat(full, &removed);
  int64_t kept_as = keep_file(full, at);
  note("U %lld %llu:%llu %lld %s\n", (long long)at, ID(removed), (long long)kept_as,
       escaped(full, text));
  int result = changed(REAL(unlink)(full), at);
  pthread_mutex_unlock(&mutex);
  return result;
}

int unlink(const char *path) {
  char full[PATH_MAX];
  if (!RECORDS || !is_ours(path, full)) return REAL(unlink)(path);
  return unlink_checked(full);
}

/* Directories come and go without their own bytes: what was in them has lines of its own. */
static int directory_changed(char kind, const char *full, int (*change)(const char *, mode_t), mode_t mode) {
  char text[2 * PATH_MAX];
  struct stat now;
  pthread_mutex_lock(&mutex);
  int64_t at = stamp();
  memset(&now, 0, sizeof now);
  (void)stat(full, &now);
  note("%c %lld %llu:%llu %s\n", kind, (long long)at, ID(now), escaped(full, text));
  int result = changed(change(full, mode), at);
  pthread_mutex_unlock(&mutex);
  return result;
}

static int make(const char *full, mode_t mode) { return REAL(mkdir)(full, mode); }

static int unmake(const char *full, mode_t mode) {
  (void)mode;
  return REAL(rmdir)(full);
}

int mkdir(const char *path, mode_t mode) {
  char full[PATH_MAX];
  if (!RECORDS || !is_ours(path, full)) return REAL(mkdir)(path, mode);
  return directory_changed('M', full, make, mode);
}

int rmdir(const char *path) {
  char full[PATH_MAX];
  if (!RECORDS || !is_ours(path, full)) return REAL(rmdir)(path);
  return directory_changed('X', full, unmake, 0);
}

int unlinkat(int directory, const char *path, int flags) {
  char self[64], at[PATH_MAX], joined[2 * PATH_MAX], full[PATH_MAX];
  if (!RECORDS) return REAL(unlinkat)(directory, path, flags);
  if (path[0] == '/' || directory == AT_FDCWD) {
    snprintf(joined, sizeof joined, "%s", path);
  } else {
    snprintf(self, sizeof self, "/proc/self/fd/%d", directory);
    ssize_t length = readlink(self, at, sizeof at - 1);
    if (length < 0) return REAL(unlinkat)(directory, path, flags);
    at[length] = 0;
    snprintf(joined, sizeof joined, "%s/%s", at, path);
  }
  if (!is_ours(joined, full)) return REAL(unlinkat)(directory, path, flags);
  return (flags & AT_REMOVEDIR) != 0 ? directory_changed('X', full, unmake, 0) : unlink_checked(full);
}

/* ---- The wall clock. --------------------------------------------------------------------------- */

static int64_t clock_offset(void) {
  if (control == NULL) return 0;
  int64_t offset = atomic_load(&control->clock_offset_ns);
  if (offset != 0) atomic_fetch_add(&control->clock_shifted, 1);
  return offset;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int result = REAL(clock_gettime)(clock, now);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    int64_t ns = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + clock_offset();
    now->tv_sec = ns / 1000000000;
    now->tv_nsec = ns % 1000000000;
  }
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  int result = REAL(gettimeofday)(now, zone);
  if (result == 0 && now != NULL) {
    int64_t us = (int64_t)now->tv_sec * 1000000 + now->tv_usec + clock_offset() / 1000;
    now->tv_sec = us / 1000000;
    now->tv_usec = us % 1000000;
  }
  return result;
}

time_t time(time_t *out) {
  time_t now = REAL(time)(NULL) + clock_offset() / 1000000000;
  if (out != NULL) *out = now;
  return now;
}

/* ---- Beginning. -------------------------------------------------------------------------------- */

__attribute__((constructor)) static void begin(void) {
  const char *steer = getenv("FAULT_SHIM_CONTROL");
  const char *under = getenv("FAULT_SHIM_UNDER");
  const char *journal = getenv("FAULT_SHIM_JOURNAL");
  const char *boot = getenv("FAULT_SHIM_BOOT_ID");
  if (steer == NULL) return;
  int fd = REAL(open64)(steer, O_RDWR | O_CLOEXEC);
  if (fd < 0) die(steer);
  void *shared = mmap(NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (shared == MAP_FAILED) die("the control file cannot be mapped");
  REAL(close)(fd);
  control = shared;
  errno = EINVAL;
  if (control->magic != MAGIC) die("the control file is not one");
  if (boot != NULL) snprintf(boot_id_file, sizeof boot_id_file, "%s", boot);
  if (journal != NULL) {
    char file[PATH_MAX];
    if (snprintf(attic, sizeof attic, "%s/attic", journal) >= PATH_MAX - 32) die("long path");
    snprintf(file, sizeof file, "%s/journal", journal);
    journal_fd = REAL(open64)(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal_fd < 0) die(file);
  }
  if (under != NULL) {
    snprintf(base, sizeof base, "%s", under);
    base_length = strlen(base);
  }
  atomic_fetch_add(&control->processes, 1);
}
