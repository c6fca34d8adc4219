"""Places, captures and releases holds: units set aside for a limited time."""
