//! Bytes of one shard, handed out front to back and given back all at once.

/// Each chunk is a quarter of what there is, within these bounds: so little of the memory is empty,
/// whether the arena is small or large.
const SMALLEST_CHUNK_BYTES: usize = 1 << 10;
const LARGEST_CHUNK_BYTES: usize = 256 << 10;

/// A place in an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    pub chunk: u32,
    pub offset: u32,
}

#[derive(Default)]
pub struct Arena {
    /// Of a fixed size each, so that nothing moves.
    chunks: Vec<Vec<u8>>,
    used_bytes: usize,
}

impl Arena {
    /// Room for `bytes` bytes, zeroed.
    pub fn reserve(&mut self, bytes: usize) -> At {
        let fits = |chunk: &Vec<u8>| chunk.capacity() - chunk.len() >= bytes;
        if !self.chunks.last().is_some_and(fits) {
            let share = (self.used_bytes / 4).clamp(SMALLEST_CHUNK_BYTES, LARGEST_CHUNK_BYTES);
            self.chunks.push(Vec::with_capacity(share.max(bytes)));
        }
        self.used_bytes += bytes;
        let chunk = self.chunks.len() - 1;
        let offset = self.chunks[chunk].len();
        self.chunks[chunk].resize(offset + bytes, 0);
        At { chunk: chunk as u32, offset: offset as u32 }
    }

    pub fn bytes(&self, at: At) -> &[u8] {
        &self.chunks[at.chunk as usize][at.offset as usize..]
    }

    pub fn bytes_mut(&mut self, at: At) -> &mut [u8] {
        &mut self.chunks[at.chunk as usize][at.offset as usize..]
    }
}
