// What happens to the membranes of a tile in a tick: which blocks, which channels together, in which order. Behind
// patch_body.hpp, in the same anonymous namespace.

inline void merge(Marks& into, const Marks& marks) {
    for (int i = 0; i < kLines; ++i) into.lines()[i] |= marks.lines()[i];
}

// Of each byte, its bits' numbers, times kBlock.
struct Numbers {
    alignas(64) std::uint16_t of[256][8];
};
constexpr Numbers numbers_of_bits() {
    Numbers numbers{};
    for (int byte = 0; byte < 256; ++byte)
        for (int bit = 0, n = 0; bit < 8; ++bit)
            if (byte >> bit & 1) numbers.of[byte][n++] = static_cast<std::uint16_t>(bit * kBlock);
    return numbers;
}
constexpr Numbers kNumbers = numbers_of_bits();

// Blocks by their first float, line by line.
struct Blocks {
    std::size_t count;
    std::uint16_t at[kLines * kColumns + 8];  // what `list` may write beyond their end, and `update_blocks` read

    void list(const Marks& marks) {
        count = 0;
        for (std::int32_t line = 0; line < kLines; ++line) {
            if (marks.lines()[line] == 0) continue;
            for (std::int32_t column = 0; column < kColumns; column += 8) {
                const auto byte = static_cast<std::uint32_t>(marks.lines()[line] >> column & 0xff);
                const auto first = static_cast<std::uint16_t>((line * kPitch + column) * kBlock);
                for (int i = 0; i < 8; ++i) at[count + i] = static_cast<std::uint16_t>(first + kNumbers.of[byte][i]);
                count += static_cast<std::size_t>(ones(byte));
            }
        }
    }
};

// The blocks of a channel among `wanted`: those of all, unless these are many more than needed. (Where a current is zero
// an update changes nothing, and a list of its own costs as much as some dozens of updates.)
const Blocks& blocks_of(const Channel& channel, std::size_t active_count, const Marks& wanted, const Blocks& all, Blocks& own) {
    if (channel.buffer_count == active_count) return all;
    Marks marks = {};
    for (std::size_t i = 0; i < channel.buffer_count; ++i) merge(marks, channel.buffers[i]->touched);
    for (int i = 0; i < kLines; ++i) marks.lines()[i] &= wanted.lines()[i];
    std::size_t count = 0;
    for (int i = 0; i < kLines; ++i) count += static_cast<std::size_t>(ones(marks.lines()[i]));
    if (count + 48 > all.count) return all;
    own.list(marks);
    return own;
}

// How many of the channels, from the first on, see the same buffers and remember.
inline std::size_t alike(const Channel* channels, std::size_t count) {
    std::size_t same = 1;
    for (; same < count && channels[same].buffer_count == channels[0].buffer_count && !channels[same].memoryless; ++same)
        for (std::size_t b = 0; b < channels[0].buffer_count; ++b)
            if (channels[same].buffers[b] != channels[0].buffers[b]) return same;
    return same;
}

void settle(float* membranes, Age& age, const Line* blocks) {
    const auto scale = Lanes::all(kPeriod), least = Lanes::all(kLeast);
    Line any = 0, before = ~Line{0};
    for (std::int32_t line = 0; line < kLines; ++line) {
        any |= (blocks != nullptr ? blocks[line] : ~Line{0}) & ~age.present[line];
        before &= age.before[line] & ~age.present[line];
    }
    if (any == 0) return;
    if (blocks == nullptr && before == ~Line{0}) {  // all alike
        for (std::int32_t i = 0; i < kPlane; i += kLanes)
            Lanes::store(membranes + i, scale * without_small(Lanes::load(membranes + i), least));
        for (Line& present : age.present) present = ~Line{0};
        return;
    }
    for (std::int32_t line = 0; line < kLines; ++line) {
        Line old = (blocks != nullptr ? blocks[line] : ~Line{0}) & ~age.present[line];
        age.present[line] |= old;
        for (; old != 0; old &= old - 1) {
            const std::int32_t column = lowest(old);
            float* const s = membranes + (line * kPitch + column) * kBlock;
            const bool kept = (age.before[line] >> column & 1) != 0;
            for (int i = 0; i < kBlock; i += kLanes)
                Lanes::store(s + i, kept ? scale * without_small(Lanes::load(s + i), least) : Floats{});
        }
    }
}

// Channels that see the same buffers and remember, four at a time.
inline void update_alike(const Extent& tile, const Blocks& blocks, Channel* channels, std::size_t count) {
    switch (count) {
        case 1: return update_group<1>(tile, blocks.at, blocks.count, channels);
        case 2: return update_group<2>(tile, blocks.at, blocks.count, channels);
        case 3: return update_group<3>(tile, blocks.at, blocks.count, channels);
        default: return update_group<4>(tile, blocks.at, blocks.count, channels);
    }
}

// A list of blocks in each channel, which may see different buffers. wanted: the blocks, as marks.
void update_each(const Extent& tile, const Marks& wanted, const Blocks& all, std::size_t active_count, Channel* channels,
                 std::size_t channel_count) {
    Blocks own;
    for (std::size_t c = 0; c < channel_count;) {
        const Blocks& blocks = blocks_of(channels[c], active_count, wanted, all, own);
        std::size_t same = 1;
        if (channels[c].memoryless) {
            update_blocks<1, AnySources, true>(tile, blocks.at, blocks.count, channels + c);
        } else {
            same = alike(channels + c, channel_count - c);
            if (same > 4) same = 4;
            update_alike(tile, blocks, channels + c, same);
        }
        c += same;
    }
}

// Where a spike comes in a list of blocks.
inline std::uint32_t turn_of(std::uint32_t spike) {
    const std::uint32_t x = spike & 0xffff, y = spike >> 16;
    return (y / kSide) << 18 | (x / kSide) << 4 | (y % kSide) * kSide | x % kSide;
}

// Two lists of spikes, one behind the other and each in the order of its blocks, become one.
void join(std::uint32_t* first, std::uint32_t* middle, const std::uint32_t* last) {
    constexpr std::ptrdiff_t kAtOnce = 64;
    std::uint32_t some[kAtOnce];
    while (first < middle && middle < last) {
        std::ptrdiff_t left = last - middle < kAtOnce ? last - middle : kAtOnce;
        for (std::ptrdiff_t i = 0; i < left; ++i) some[i] = middle[i];
        std::uint32_t *from = middle, *to = middle += left;
        while (left > 0)
            *--to = from > first && turn_of(from[-1]) > turn_of(some[left - 1]) ? *--from : some[--left];
    }
}

constexpr std::size_t kMostShared = 8, kMostAlike = 8;  // buffers, channels
constexpr std::size_t kWorthSharing = 16;               // blocks

// The buffers that all channels see, in their order; how many.
std::size_t shared_by(const Channel* channels, std::size_t channel_count, const Buffer** shared) {
    std::size_t count = 0;
    if (channel_count < 2 || channel_count > kMostAlike || channels[0].buffer_count > kMostShared) return 0;
    for (std::size_t c = 0; c < channel_count; ++c)
        if (channels[c].memoryless) return 0;
    for (std::size_t b = 0; b < channels[0].buffer_count; ++b) {
        bool everywhere = true;
        for (std::size_t c = 1; c < channel_count; ++c) {
            bool here = false;
            for (std::size_t i = 0; i < channels[c].buffer_count; ++i) here |= channels[c].buffers[i] == channels[0].buffers[b];
            everywhere &= here;
        }
        if (everywhere) shared[count++] = channels[0].buffers[b];
    }
    return count;
}

// Most events drive all channels: where no other one lies near, these see the same current and are updated at once.
// Returns whether that was done; then `rest` are the blocks that are left, and the spikes of the others stand before
// those to come.
bool update_shared(const Extent& tile, Buffer* const* active, std::size_t active_count, const Marks& any, Marks& rest,
                   Channel* channels, std::size_t channel_count) {
    const Buffer* shared[kMostShared];
    const std::size_t count = shared_by(channels, channel_count, shared);
    if (count == 0 || count == active_count) return false;
    Marks others = {}, plain;
    for (std::size_t i = 0; i < active_count; ++i) {
        bool own = true;
        for (std::size_t b = 0; b < count; ++b) own &= shared[b] != active[i];
        if (own) merge(others, active[i]->touched);
    }
    for (int i = 0; i < kLines; ++i) {
        plain.lines()[i] = any.lines()[i] & ~others.lines()[i];
        rest.lines()[i] = any.lines()[i] & others.lines()[i];
    }
    Blocks blocks;
    blocks.list(plain);
    if (blocks.count < kWorthSharing) return false;
    for (std::size_t c = 0; c < channel_count; c += 4) {
        const std::size_t same = channel_count - c < 4 ? channel_count - c : 4;
        Channel alike[4];
        for (std::size_t i = 0; i < same; ++i) {
            alike[i] = channels[c + i];
            alike[i].buffers = shared;
            alike[i].buffer_count = count;
        }
        update_alike(tile, blocks, alike, same);
        for (std::size_t i = 0; i < same; ++i) channels[c + i].spikes = alike[i].spikes_end;
    }
    return true;
}

void spill(Buffer& buffer) {
    Blocks blocks;
    blocks.list(buffer.touched);
    const auto unit = Lanes::all(buffer.unit);
    for (std::size_t k = 0; k < blocks.count; ++k) {
        const std::uint32_t at = blocks.at[k];
        for (int i = 0; i < kBlock; i += kLanes)
            Lanes::store(buffer.currents + at + i,
                         Lanes::load(buffer.currents + at + i) + unit * widened(buffer.counts + at + i));
        for (int i = 0; i < kBlock; i += Whole::kLanes) Whole::store(buffer.counts + at + i, Whole::Numbers{});
    }
    buffer.spilled = true;
}

void update(const Extent& tile, Buffer* const* active, std::size_t active_count, Channel* channels,
            std::size_t channel_count, Line* settled, bool all_channels) {
    for (std::size_t i = 0; i < active_count; ++i)
        if (active[i]->spilled) spill(*active[i]);  // all of it
    Marks any = {}, rest;
    for (std::size_t i = 0; i < active_count; ++i) merge(any, active[i]->touched);
    Line old = 0;
    for (std::int32_t line = 0; line < kLines; ++line) old |= any.lines()[line] & ~settled[line];
    if (old != 0) {
        for (std::size_t c = 0; c < channel_count; ++c) settle(channels[c].membranes, *channels[c].age, any.lines());
        for (std::int32_t line = 0; all_channels && line < kLines; ++line) settled[line] |= any.lines()[line];
    }
    std::uint32_t* spikes[kMostAlike];
    for (std::size_t c = 0; c < channel_count && c < kMostAlike; ++c) spikes[c] = channels[c].spikes;
    const bool apart = update_shared(tile, active, active_count, any, rest, channels, channel_count);
    const Marks& wanted = apart ? rest : any;
    Blocks blocks;
    blocks.list(wanted);
    update_each(tile, wanted, blocks, active_count, channels, channel_count);
    for (std::size_t c = 0; apart && c < channel_count; ++c) {
        join(spikes[c], channels[c].spikes, channels[c].spikes_end);
        channels[c].spikes = spikes[c];
    }
    for (std::size_t i = 0; i < active_count; ++i) {
        active[i]->touched = {};
        active[i]->active = active[i]->spilled = false;
    }
}
