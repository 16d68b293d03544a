/*
 * The CNI plugin that a runtime executes: hands its environment and standard input to the agent's
 * unix socket, with the pod's network namespace as an open descriptor (SCM_RIGHTS), and prints the
 * answer. The contract is src/cni/protocol.ts; plugin.ts does the same in TypeScript.
 *
 * The runtime runs us in the host's mount namespace: we may open CNI_NETNS, the agent may not. A
 * deletion that no agent is there for is written down for it (src/cni/spooled-deletions.ts).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_REQUEST = 1 << 20, MAX_VARIABLE = 1 << 16, ANSWER_SECONDS = 120 };
enum { CODE_ENVIRONMENT = 4, CODE_IO = 5, CODE_TRY_AGAIN = 11, CODE_UNAVAILABLE = 50 };

static const char *const variables[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS",
                                        "CNI_IFNAME",  "CNI_ARGS",        "CNI_PATH"};
static const char magic[] = "TORTIE-CNI/1\n";
static char request[MAX_REQUEST + 1];
static const char *command = "", *plugin = "calico";

static void print_json_text(const char *text) {
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') printf("\\%c", c);
    else if (c < 0x20) printf("\\u%04x", c);
    else putchar(c);
  }
}

static int is_command(const char *name) { return strcmp(command, name) == 0; }

static int fail(int code, const char *what, const char *details) {
  printf("{\"cniVersion\":\"1.0.0\",\"code\":%d,\"msg\":\"", code);
  print_json_text(what);
  printf("\",\"details\":\"");
  print_json_text(details);
  printf("\"}\n");
  return 1;
}

static int send_all(int sock, const char *bytes, size_t length, int descriptor) {
  char control[CMSG_SPACE(sizeof(int))] = {0};
  while (length > 0) {
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor >= 0) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      struct cmsghdr *header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    }
    ssize_t sent = sendmsg(sock, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return -1;
    descriptor = -1;
    bytes += sent;
    length -= (size_t)sent;
  }
  return 0;
}

/* One that is there and does not go on is none: connecting and sending wait for it, too. */
static int connect_agent(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address.sun_path, path);
  int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct timeval patience = {.tv_sec = ANSWER_SECONDS};
  if (sock < 0 || setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
      setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0 ||
      connect(sock, (struct sockaddr *)&address, sizeof address) < 0)
    return -1;
  return sock;
}

/* The name by which we were run tells the plugin. */
static void find_plugin(const char *program) {
  const char *slash = strrchr(program, '/');
  if (strcmp(slash != NULL ? slash + 1 : program, "calico-ipam") == 0) plugin = "calico-ipam";
}

static int make_folder(const char *path) {
  char part[PATH_MAX];
  if (*path == '\0') { errno = ENOENT; return -1; }
  for (const char *end = strchr(path + 1, '/');; end = strchr(end + 1, '/')) {
    size_t length = end != NULL ? (size_t)(end - path) : strlen(path);
    if (length >= sizeof part) { errno = ENAMETOOLONG; return -1; }
    memcpy(part, path, length);
    part[length] = '\0';
    if (mkdir(part, 0700) < 0 && errno != EEXIST) return -1;
    if (end == NULL) return 0;
  }
}

/* The new name is not lost either, when the power fails. */
static int sync_folder(const char *path) {
  int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return -1;
  int failed = fsync(folder);
  close(folder);
  return failed;
}

/* Writes the request beside its place, then renames it: the agent never reads half of one. */
static int write_down(const char *folder, const char *name, size_t length) {
  char draft[PATH_MAX], file[PATH_MAX];
  int fits = snprintf(draft, sizeof draft, "%s/.%d", folder, (int)getpid()) < PATH_MAX &&
             snprintf(file, sizeof file, "%s/%s", folder, name) < PATH_MAX;
  if (!fits) { errno = ENAMETOOLONG; return -1; }
  unlink(draft);
  int out = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (out < 0) return -1;
  size_t at = 0;
  while (at < length) {
    ssize_t wrote = write(out, request + at, length - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) break;
    at += (size_t)wrote;
  }
  int failed = at < length || fsync(out) < 0;
  if (close(out) < 0 || failed || rename(draft, file) < 0) { unlink(draft); return -1; }
  return sync_folder(folder);
}

static int is_file_word(const char *text) {
  size_t length = strlen(text);
  return length > 0 && length <= 200 && *text != '.' && strchr(text, '/') == NULL;
}

/* A deletion must be done in the end: it is written down, and the agent does it when it is back. */
static int spool(size_t length) {
  const char *container = getenv("CNI_CONTAINERID"), *interface = getenv("CNI_IFNAME");
  if (container == NULL || !is_file_word(container))
    return fail(CODE_ENVIRONMENT, "Cannot accept CNI_CONTAINERID", container ? container : "");
  if (interface == NULL || !is_file_word(interface))
    return fail(CODE_ENVIRONMENT, "Cannot accept CNI_IFNAME", interface ? interface : "");
  const char *folder = getenv("TORTIE_CNI_SPOOL");
  if (folder == NULL) folder = "/var/lib/calico/tortie/cni-deletions";
  char name[512];
  snprintf(name, sizeof name, "%s@%s@%s", plugin, container, interface);
  if (make_folder(folder) < 0 || write_down(folder, name, length) < 0)
    return fail(CODE_IO, "Cannot reach the tortie agent, nor write the deletion down for it",
                strerror(errno));
  return 0;
}

/* Without the agent an ADD would fail: that is what STATUS asks. */
static int unreachable(const char *details, size_t length) {
  if (is_command("DEL")) return spool(length);
  return fail(is_command("STATUS") ? CODE_UNAVAILABLE : CODE_TRY_AGAIN,
              "Cannot reach the tortie agent: is `tortie node` running?", details);
}

/* Puts the environment and standard input into `request`. 0, or an exit code after printing why. */
static int read_request(size_t *length) {
  size_t at = strlen(magic);
  memcpy(request, magic, at);
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
    const char *value = getenv(variables[i]);
    if (value == NULL) continue;
    if (strlen(value) > MAX_VARIABLE)
      return fail(CODE_ENVIRONMENT, "Cannot accept an over-long variable", variables[i]);
    at += (size_t)sprintf(request + at, "%s=%s", variables[i], value) + 1;
  }
  if (strcmp(plugin, "calico") != 0) at += (size_t)sprintf(request + at, "TORTIE_PLUGIN=%s", plugin) + 1;
  request[at++] = '\0';
  for (;;) {
    ssize_t got = read(STDIN_FILENO, request + at, sizeof request - at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(CODE_IO, "Cannot read the network configuration", strerror(errno));
    if (got == 0) break;
    at += (size_t)got;
    if (at > MAX_REQUEST)
      return fail(CODE_IO, "Cannot accept a request of more than 1 MiB", "standard input");
  }
  *length = at;
  return 0;
}

int main(int count, char **words) {
  const char *given = getenv("CNI_COMMAND");
  if (given != NULL) command = given;
  if (is_command("VERSION")) {
    puts("{\"cniVersion\":\"1.1.0\",\"supportedVersions\":"
         "[\"0.1.0\",\"0.2.0\",\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]}");
    return 0;
  }
  size_t length = 0;
  if (count > 0) find_plugin(words[0]);
  int failed = read_request(&length);
  if (failed) return failed;

  const char *netns = getenv("CNI_NETNS");
  int descriptor = -1;
  if (netns != NULL && *netns != '\0') {
    descriptor = open(netns, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0 && !is_command("DEL"))
      return fail(CODE_ENVIRONMENT, "Cannot open the network namespace CNI_NETNS", strerror(errno));
  }

  const char *path = getenv("TORTIE_CNI_SOCKET");
  int sock = connect_agent(path != NULL ? path : "/var/run/calico/tortie/cni.sock");
  if (sock < 0) return unreachable(strerror(errno), length);
  int unsent = 0;
  if (send_all(sock, request, length, descriptor) < 0 || shutdown(sock, SHUT_WR) < 0) unsent = errno;

  /* An agent that refuses us may have answered and closed before it read anything: hear why. */
  unsigned char code;
  if (unsent != 0 && unsent != EPIPE && unsent != ECONNRESET)
    return unreachable(strerror(unsent), length);
  ssize_t answered = read(sock, &code, 1);
  if (answered != 1)
    return unreachable(answered == 0 ? "it hung up: was it restarted?" : strerror(errno), length);
  static char answer[1 << 16];
  ssize_t got;
  while ((got = read(sock, answer, sizeof answer)) > 0)
    if (fwrite(answer, 1, (size_t)got, stdout) != (size_t)got) return 1;
  return fflush(stdout) == 0 ? code : 1;
}
