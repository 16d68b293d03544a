/*
 * The CNI plugin that a runtime executes: hands its environment and standard input to the agent's
 * unix socket, with the pod's network namespace as an open descriptor (SCM_RIGHTS), and prints the
 * answer. The contract is src/cni/protocol.ts; plugin.ts does the same in TypeScript.
 *
 * The runtime runs us in the host's mount namespace: we may open CNI_NETNS, the agent may not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_REQUEST = 1 << 20, MAX_VARIABLE = 1 << 16, ANSWER_SECONDS = 120 };
enum { CODE_ENVIRONMENT = 4, CODE_IO = 5, CODE_TRY_AGAIN = 11 };

static const char *const variables[] = {"CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS",
                                        "CNI_IFNAME",  "CNI_ARGS",        "CNI_PATH"};
static const char magic[] = "TORTIE-CNI/1\n";
static char request[MAX_REQUEST + 1];

static void print_json_text(const char *text) {
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') printf("\\%c", c);
    else if (c < 0x20) printf("\\u%04x", c);
    else putchar(c);
  }
}

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
      connect(sock, (struct sockaddr *)&address, sizeof address) < 0)
    return -1;
  return sock;
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

int main(void) {
  const char *command = getenv("CNI_COMMAND");
  if (command != NULL && strcmp(command, "VERSION") == 0) {
    puts("{\"cniVersion\":\"1.0.0\",\"supportedVersions\":"
         "[\"0.1.0\",\"0.2.0\",\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\"]}");
    return 0;
  }
  size_t length = 0;
  int failed = read_request(&length);
  if (failed) return failed;

  const char *netns = getenv("CNI_NETNS");
  int descriptor = -1;
  if (netns != NULL && *netns != '\0') {
    descriptor = open(netns, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int gone = command != NULL && strcmp(command, "DEL") == 0;
    if (descriptor < 0 && !gone)
      return fail(CODE_ENVIRONMENT, "Cannot open the network namespace CNI_NETNS", strerror(errno));
  }

  const char *path = getenv("TORTIE_CNI_SOCKET");
  int sock = connect_agent(path != NULL ? path : "/var/run/calico/tortie/cni.sock");
  if (sock < 0)
    return fail(CODE_TRY_AGAIN, "Cannot reach the tortie agent: is `tortie node` running?",
                strerror(errno));
  int unsent = 0;
  if (send_all(sock, request, length, descriptor) < 0 || shutdown(sock, SHUT_WR) < 0) unsent = errno;

  /* An agent that refuses us may have answered and closed before it read anything: hear why. */
  unsigned char code;
  if (unsent != 0 && unsent != EPIPE)
    return fail(CODE_TRY_AGAIN, "Cannot send to the tortie agent", strerror(unsent));
  ssize_t answered = read(sock, &code, 1);
  if (answered != 1)
    return fail(CODE_TRY_AGAIN, "Cannot read the tortie agent's answer",
                answered == 0 ? "it hung up: was it restarted?" : strerror(errno));
  ssize_t got;
  while ((got = read(sock, request, sizeof request)) > 0)
    if (fwrite(request, 1, (size_t)got, stdout) != (size_t)got) return 1;
  return fflush(stdout) == 0 ? code : 1;
}
