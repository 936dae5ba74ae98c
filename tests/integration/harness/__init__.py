# SPDX-License-Identifier: GPL-3.0-or-later
"""What the integration tests are made of: two real mail servers, a sink for their mail, the daemon, an SMTP client."""
