# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests/bench/run-bench is made of."""
