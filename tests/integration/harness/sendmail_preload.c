/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Loaded into the tests' Sendmail: gives it an own hosts file and an own log file. Sendmail empties
 * its environment before it asks for anything, so both paths are read before main() begins. It asks
 * with these functions alone, from one thread, and no name service of the machine is ever asked.
 *
 * A line of the hosts file: ADDRESS NAME [FORWARD-ADDRESS]. NAME "TEMP" stands for a lookup that
 * fails for now; FORWARD-ADDRESS (default ADDRESS) is what NAME resolves to.
 *
 * TEST_DNS is the port of 127.0.0.1 where its resolver finds the one DNS server that it asks.
 */

#define _GNU_SOURCE /* RTLD_NEXT */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#define TEXT_MAX 256

/* glibc's name for syslog() in a program that is built with _FORTIFY_SOURCE. */
void __syslog_chk(int priority, int flag, const char *format, ...);

struct line {
    char address[TEXT_MAX];
    char name[TEXT_MAX];
    char forward[TEXT_MAX];
};

static char hosts_path[TEXT_MAX];
static char log_path[TEXT_MAX];
static int dns_port;

static struct hostent answer;
static char answer_name[TEXT_MAX];
static struct in_addr answer_address;
static char *answer_addresses[2];
static char *answer_aliases[1];

__attribute__((constructor)) static void remember_paths(void)
{
    const char *hosts = getenv("TEST_HOSTS");
    const char *log = getenv("TEST_SYSLOG");
    const char *port = getenv("TEST_DNS");

    snprintf(hosts_path, sizeof(hosts_path), "%s", hosts ? hosts : "/dev/null");
    snprintf(log_path, sizeof(log_path), "%s", log ? log : "/dev/null");
    dns_port = port ? atoi(port) : 0;
}

/* The C library's, and then one server and no search list in place of those of /etc/resolv.conf. */
int __res_init(void)
{
    int (*real)(void) = (int (*)(void))dlsym(RTLD_NEXT, "__res_init");
    int result = real ? real() : -1;

    if (result == 0 && dns_port != 0) {
        _res.nscount = 1;
        _res.nsaddr_list[0].sin_family = AF_INET;
        _res.nsaddr_list[0].sin_port = htons((unsigned short)dns_port);
        _res.nsaddr_list[0].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        _res.defdname[0] = '\0';
        _res.dnsrch[0] = NULL;
        _res.retrans = 1;
        _res.retry = 1;
    }
    return result;
}

/* Finds the line whose address (or, without one, whose name) is the one given. */
static int find_line(const char *address, const char *name, struct line *found)
{
    char text[3 * TEXT_MAX];
    FILE *file = fopen(hosts_path, "re");
    int hit = 0;

    if (!file)
        return 0;
    while (!hit && fgets(text, sizeof(text), file)) {
        int fields = sscanf(text, "%255s %255s %255s", found->address, found->name, found->forward);

        if (fields < 2)
            continue;
        if (fields == 2)
            memcpy(found->forward, found->address, sizeof(found->forward));
        hit = address ? strcmp(found->address, address) == 0 : strcasecmp(found->name, name) == 0;
    }
    fclose(file);
    return hit;
}

static struct hostent *fail(int why)
{
    h_errno = why;
    return NULL;
}

static struct hostent *succeed(const char *name, const char *address)
{
    snprintf(answer_name, sizeof(answer_name), "%s", name);
    if (inet_pton(AF_INET, address, &answer_address) != 1)
        return fail(NO_RECOVERY);
    answer_addresses[0] = (char *)&answer_address;
    answer.h_name = answer_name;
    answer.h_aliases = answer_aliases;
    answer.h_addrtype = AF_INET;
    answer.h_length = sizeof(answer_address);
    answer.h_addr_list = answer_addresses;
    return &answer;
}

struct hostent *gethostbyaddr(const void *address, socklen_t length, int family)
{
    char text[INET6_ADDRSTRLEN];
    struct line line;

    (void)length;
    if (!inet_ntop(family, address, text, sizeof(text)) || !find_line(text, NULL, &line))
        return fail(HOST_NOT_FOUND);
    if (strcmp(line.name, "TEMP") == 0)
        return fail(TRY_AGAIN);
    return succeed(line.name, text);
}

struct hostent *gethostbyname2(const char *name, int family)
{
    struct in_addr number;
    struct line line;
    size_t length = strlen(name);
    char plain[TEXT_MAX];

    if (family != AF_INET || length >= sizeof(plain))
        return fail(HOST_NOT_FOUND);
    memcpy(plain, name, length + 1);
    if (length > 0 && plain[length - 1] == '.')
        plain[length - 1] = '\0';
    if (inet_pton(AF_INET, plain, &number) == 1)
        return succeed(plain, plain);
    if (!find_line(NULL, plain, &line))
        return fail(HOST_NOT_FOUND);
    return succeed(line.name, line.forward);
}

struct hostent *gethostbyname(const char *name)
{
    return gethostbyname2(name, AF_INET);
}

static void log_line(const char *format, va_list arguments)
{
    char text[4096];
    int length = snprintf(text, sizeof(text), "sendmail[%ld]: ", (long)getpid());
    int fd = open(log_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0)
        return;
    length += vsnprintf(text + length, sizeof(text) - (size_t)length - 1, format, arguments);
    if (length > (int)sizeof(text) - 2)
        length = (int)sizeof(text) - 2;
    text[length++] = '\n';
    if (write(fd, text, (size_t)length) < 0)
        h_errno = NETDB_INTERNAL;
    close(fd);
}

void syslog(int priority, const char *format, ...)
{
    va_list arguments;

    (void)priority;
    va_start(arguments, format);
    log_line(format, arguments);
    va_end(arguments);
}

void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list arguments;

    (void)priority;
    (void)flag;
    va_start(arguments, format);
    log_line(format, arguments);
    va_end(arguments);
}
