//! Makes one service in one environment equal to its descriptor, beside the old until proved.
