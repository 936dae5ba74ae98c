# SPDX-License-Identifier: GPL-3.0-or-later
"""postern's pattern tables and header checks beside the real Postfix's."""
