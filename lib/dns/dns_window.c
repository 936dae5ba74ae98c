/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/dns/dns_window.h"

#define MESSAGE (INT64_C(1000000) / DNS_WINDOW)

bool dns_window_take(struct dns_window *window, int64_t now)
{
    window->room += now - window->at;
    window->at = now;
    if (window->room > DNS_WINDOW * MESSAGE) {
        window->room = DNS_WINDOW * MESSAGE;
    }
    if (window->room < MESSAGE) {
        return false;
    }
    window->room -= MESSAGE;
    return true;
}

void dns_window_give(struct dns_window *window)
{
    window->room += MESSAGE;
}
