/**
 * @file json.hpp
 * @brief Reads the few JSON texts of this module strictly (RFC 8259), from short, hostile texts. Never keeps more than it is given.
 */
#ifndef VIX_P2P_DETAIL_JSON_HPP
#define VIX_P2P_DETAIL_JSON_HPP

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace vix::p2p::detail {

/** Each function reads one thing and says whether it was there; after a "no" the place is of no use. */
class Json {
public:
    explicit Json(std::string_view text) : rest_(text) {}

    bool at_end() { return next() == '\0' && rest_.empty(); }

    /** The byte that comes next, 0 at the end. */
    char next()
    {
        skip_space();
        return rest_.empty() ? '\0' : rest_.front();
    }

    /** One of the six signs of JSON. */
    bool sign(char wanted)
    {
        const bool is_here = next() == wanted;
        rest_.remove_prefix(is_here ? 1 : 0);
        return is_here;
    }

    std::optional<std::string> text()
    {
        if (!sign('"')) {
            return std::nullopt;
        }
        std::string out;
        while (!rest_.empty() && static_cast<unsigned char>(rest_.front()) >= 0x20) {
            const char c = take();
            if (c == '"') {
                return out;
            }
            if (c != '\\') {
                out.push_back(c);
            } else if (!escaped(out)) {
                return std::nullopt;
            }
        }
        return std::nullopt;
    }

    /** A whole number that fits; no sign, no point, no exponent. */
    std::optional<std::uint64_t> number()
    {
        skip_space();
        const std::string_view digits = rest_.substr(0, digits_here());
        std::uint64_t value = 0;
        const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        const bool is_whole = !digits.empty() && (digits.size() == 1 || digits.front() != '0') && read.ec == std::errc{};
        rest_.remove_prefix(digits.size());
        const bool goes_on = !rest_.empty() && std::string_view(".eE").find(rest_.front()) != std::string_view::npos;
        return is_whole && !goes_on ? std::optional(value) : std::nullopt;
    }

    /** Calls member(name) behind the colon of each member; it reads the value. */
    template <class Member> bool object(Member member)
    {
        if (!sign('{')) {
            return false;
        }
        if (sign('}')) {
            return true;
        }
        do {
            const std::optional<std::string> name = text();
            if (!name || !sign(':') || !member(*name)) {
                return false;
            }
        } while (sign(','));
        return sign('}');
    }

    /** Any value, of no interest. */
    bool skip(unsigned depth = 0)
    {
        if (depth > depth_max) {
            return false;
        }
        switch (next()) {
        case '"': return text().has_value();
        case '{': return object([&](const std::string &) { return skip(depth + 1); });
        case '[': return skip_array(depth);
        case 't': return word("true");
        case 'f': return word("false");
        case 'n': return word("null");
        default: return skip_number();
        }
    }

private:
    static constexpr unsigned depth_max = 16;

    char take()
    {
        const char c = rest_.front();
        rest_.remove_prefix(1);
        return c;
    }

    void skip_space()
    {
        while (!rest_.empty() && std::string_view(" \t\r\n").find(rest_.front()) != std::string_view::npos) {
            rest_.remove_prefix(1);
        }
    }

    std::size_t digits_here() const
    {
        const std::size_t end = rest_.find_first_not_of("0123456789");
        return end == std::string_view::npos ? rest_.size() : end;
    }

    bool word(std::string_view wanted)
    {
        const bool is_here = rest_.starts_with(wanted);
        rest_.remove_prefix(is_here ? wanted.size() : 0);
        return is_here;
    }

    bool skip_array(unsigned depth)
    {
        if (!sign('[')) {
            return false;
        }
        if (sign(']')) {
            return true;
        }
        do {
            if (!skip(depth + 1)) {
                return false;
            }
        } while (sign(','));
        return sign(']');
    }

    bool skip_digits()
    {
        const std::size_t count = digits_here();
        rest_.remove_prefix(count);
        return count > 0;
    }

    bool skip_number()
    {
        word("-");
        const bool is_zero = word("0");
        if (!is_zero && !skip_digits()) {
            return false;
        }
        if (word(".") && !skip_digits()) {
            return false;
        }
        if (word("e") || word("E")) {
            if (!word("+")) {
                word("-");
            }
            return skip_digits();
        }
        return true;
    }

    bool escaped(std::string &out)
    {
        static constexpr std::string_view names = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
        if (rest_.empty()) {
            return false;
        }
        const char c = take();
        if (c == 'u') {
            return unicode(out);
        }
        const std::size_t at = names.find(c);
        if (at == std::string_view::npos) {
            return false;
        }
        out.push_back(meant[at]);
        return true;
    }

    std::optional<std::uint32_t> four_digits()
    {
        std::uint32_t value = 0;
        const char *const begin = rest_.data();
        if (rest_.size() < 4 || std::from_chars(begin, begin + 4, value, 16).ptr != begin + 4) {
            return std::nullopt;
        }
        rest_.remove_prefix(4);
        return value;
    }

    bool unicode(std::string &out)
    {
        std::optional<std::uint32_t> point = four_digits();
        if (point && *point >= 0xd800 && *point < 0xdc00 && word("\\u")) {
            const std::optional<std::uint32_t> low = four_digits();
            const bool is_low = low && *low >= 0xdc00 && *low < 0xe000;
            point = is_low ? std::optional(0x10000 + ((*point - 0xd800) << 10U) + (*low - 0xdc00)) : std::nullopt;
        }
        if (!point || (*point >= 0xd800 && *point < 0xe000)) {
            return false;
        }
        append_utf8(*point, out);
        return true;
    }

    static void append_utf8(std::uint32_t point, std::string &out)
    {
        const auto byte = [&](std::uint32_t bits) { out.push_back(static_cast<char>(bits)); };
        const auto further = [&](unsigned shift) { byte(0x80U | (point >> shift & 0x3fU)); };
        if (point < 0x80) {
            byte(point);
        } else if (point < 0x800) {
            byte(0xc0U | point >> 6U);
            further(0);
        } else if (point < 0x10000) {
            byte(0xe0U | point >> 12U);
            further(6);
            further(0);
        } else {
            byte(0xf0U | point >> 18U);
            further(12);
            further(6);
            further(0);
        }
    }

    std::string_view rest_;
};

} // namespace vix::p2p::detail

#endif
