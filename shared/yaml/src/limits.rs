/// How much of a hostile file is looked at before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the text.
    pub bytes: usize,
    /// Maps and lists within each other. Decoding recurses this deep; more than 128 counts as 128.
    pub depth: usize,
    /// Maps, lists, keys and values in all.
    pub nodes: usize,
}

impl Default for Limits {
    /// 256 KiB, 32 deep, 50,000 nodes: far more than a person writes.
    fn default() -> Self {
        Self {
            bytes: 256 * 1024,
            depth: 32,
            nodes: 50_000,
        }
    }
}

impl Limits {
    /// No call stack is at risk below this depth, whatever the thread.
    const DEEPEST: usize = 128;

    pub(crate) fn depth(&self) -> usize {
        self.depth.min(Self::DEEPEST)
    }
}
