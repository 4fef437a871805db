//! Files to blocks of whole lines.
