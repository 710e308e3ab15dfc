// SPDX-License-Identifier: Apache-2.0
// Decodes the first picture of a GIF file by giflib.
#pragma once

#include <doppel/core/error.hpp>
#include <doppel/image/detail/canvas.hpp>
#include <doppel/image/detail/palette.hpp>
#include <doppel/image/image.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <gif_lib.h>

namespace doppel::image::detail {

class GifDecoder {
public:
    GifDecoder(std::span<const std::uint8_t> bytes, std::string_view name) : bytes_(bytes), name_(name) {
        int problem = 0;
        gif_ = DGifOpen(this, read, &problem);
        if (!gif_) give_up(GifErrorString(problem));
    }
    ~GifDecoder() {
        int ignored = 0;
        DGifCloseFile(gif_, &ignored);
    }
    GifDecoder(const GifDecoder&) = delete;
    GifDecoder& operator=(const GifDecoder&) = delete;

    Image decode() {
        const std::uint8_t background = find_picture();
        check(DGifGetImageDesc(gif_));
        const GifImageDesc& frame = gif_->Image;
        const ColorMapObject* colors = frame.ColorMap ? frame.ColorMap : gif_->SColorMap;
        if (!colors) give_up("it has no colors");
        if (frame.Width <= 0 || frame.Height <= 0) give_up("its first picture is empty");
        Palette palette;
        for (int i = 0; i < colors->ColorCount; ++i)
            palette.add(colors->Colors[i].Red, colors->Colors[i].Green, colors->Colors[i].Blue);

        const int width = std::max(gif_->SWidth, frame.Left + frame.Width);
        const int height = std::max(gif_->SHeight, frame.Top + frame.Height);
        Image image = canvas(name_, width, height, palette.channels());
        if (width > frame.Width || height > frame.Height)
            for (std::uint8_t *out = image.pixels.data(), *end = out + image.pixels.size(); out < end;)
                out = palette.put(background, out);
        std::vector<GifPixelType> row(static_cast<std::size_t>(frame.Width));
        const auto read_rows = [&](int first, int step) {
            for (int y = first; y < frame.Height; y += step) {
                check(DGifGetLine(gif_, row.data(), frame.Width));
                std::uint8_t* out = image.at(frame.Left, frame.Top + y);
                for (const GifPixelType number : row) out = palette.put(number, out);
            }
        };
        if (frame.Interlace)
            for (const auto& [first, step] : {std::pair(0, 8), std::pair(4, 8), std::pair(2, 4), std::pair(1, 2)})
                read_rows(first, step);
        else
            read_rows(0, 1);
        return image;
    }

private:
    [[noreturn]] void give_up(const char* why) const {
        fail("decode: ", name_, ": damaged or unsupported GIF: ", why ? why : "unknown error");
    }
    void check(int status) const {
        if (status == GIF_ERROR) give_up(GifErrorString(gif_->Error));
    }
    /// Moves to the first picture. Returns the number of the color around it: its transparent color, else 0.
    std::uint8_t find_picture() {
        std::uint8_t background = 0;
        for (;;) {
            GifRecordType record{};
            check(DGifGetRecordType(gif_, &record));
            if (record == IMAGE_DESC_RECORD_TYPE) return background;
            if (record != EXTENSION_RECORD_TYPE) give_up("no picture in it");
            int kind = 0;
            GifByteType* block = nullptr;  // its length, then its bytes
            check(DGifGetExtension(gif_, &kind, &block));
            if (kind == GRAPHICS_EXT_FUNC_CODE && block && block[0] >= 4 && (block[1] & 1) != 0) background = block[4];
            while (block) check(DGifGetExtensionNext(gif_, &block));
        }
    }
    static int read(GifFileType* gif, GifByteType* out, int size) {
        auto& bytes = static_cast<GifDecoder*>(gif->UserData)->bytes_;
        const std::size_t count = std::min(static_cast<std::size_t>(std::max(size, 0)), bytes.size());
        std::copy_n(bytes.data(), count, out);
        bytes = bytes.subspan(count);
        return static_cast<int>(count);
    }

    std::span<const std::uint8_t> bytes_;
    std::string_view name_;
    GifFileType* gif_ = nullptr;
};

/// Takes colors as stored, transparent ones too.
inline Image decode_gif(std::span<const std::uint8_t> bytes, std::string_view name) {
    return GifDecoder(bytes, name).decode();
}

}  // namespace doppel::image::detail
