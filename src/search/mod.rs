//! Role: answers.
