//! Commands and generators that plugins back.
