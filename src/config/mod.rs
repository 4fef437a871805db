//! One configuration, gathered from the rooms' own settings.
