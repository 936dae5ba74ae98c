# SPDX-License-Identifier: GPL-3.0-or-later
"""Differential test: postern against the rulesets of the real Sendmail."""
