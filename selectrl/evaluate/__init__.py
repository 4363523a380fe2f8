"""The one meta-test harness."""
