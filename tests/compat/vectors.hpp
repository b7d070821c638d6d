// Reads the golden vectors: tests/vectors/vectors_v1.json, the same file that the Rust tests read.
#ifndef VECTORS_HPP
#define VECTORS_HPP

#include "check.h"

#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <vix/p2p/detail/json.hpp>

using Bytes = std::vector<std::uint8_t>;

struct Value {
    std::string text;
    std::vector<Value> items;
    std::vector<std::pair<std::string, Value>> members;

    const Value *find(const std::string &name) const
    {
        for (const auto &[key, value] : members) {
            if (key == name) {
                return &value;
            }
        }
        return nullptr;
    }
    const Value &operator[](const std::string &name) const
    {
        const Value *found = find(name);
        if (found == nullptr) {
            std::fprintf(stderr, "no member %s\n", name.c_str());
        }
        CHECK(found != nullptr);
        return *found;
    }
    std::uint64_t number() const { return std::stoull(text); }
};

inline bool read_value(vix::p2p::detail::Json &json, Value &out)
{
    switch (json.next()) {
    case '"': {
        const auto text = json.text();
        out.text = text.value_or("");
        return text.has_value();
    }
    case '{':
        return json.object([&](const std::string &name) {
            out.members.emplace_back(name, Value{});
            return read_value(json, out.members.back().second);
        });
    case '[':
        json.sign('[');
        if (json.sign(']')) {
            return true;
        }
        do {
            out.items.emplace_back();
            if (!read_value(json, out.items.back())) {
                return false;
            }
        } while (json.sign(','));
        return json.sign(']');
    case 't':
    case 'f':
        out.text = json.next() == 't' ? "true" : "false";
        return json.skip();
    default: {
        const auto number = json.number();
        out.text = std::to_string(number.value_or(0));
        return number.has_value();
    }
    }
}

inline Value read_vectors(const char *path)
{
    std::ifstream file(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    vix::p2p::detail::Json json(text);
    Value all;
    CHECK(read_value(json, all) && json.at_end());
    return all;
}

inline Bytes pattern(std::uint32_t seed, std::size_t len)
{
    Bytes out(len);
    for (std::uint8_t &byte : out) {
        seed = seed * 1664525U + 1013904223U;
        byte = static_cast<std::uint8_t>(seed >> 24U);
    }
    return out;
}

// Hex digits, or the words "pattern seed S len N".
inline Bytes unhex(const std::string &digits)
{
    unsigned seed = 0, len = 0;
    if (std::sscanf(digits.c_str(), "pattern seed %u len %u", &seed, &len) == 2) {
        return pattern(seed, len);
    }
    Bytes out;
    CHECK(digits.size() % 2 == 0);
    for (std::size_t i = 0; i < digits.size(); i += 2) {
        out.push_back(static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
    }
    return out;
}

// The cases of a section, of which there have to be so many.
inline const std::vector<Value> &section(const Value &all, const char *name, std::size_t count)
{
    CHECK(all[name].items.size() == count);
    return all[name].items;
}

#define CHECK_CASE(truth, name)                                              \
    do {                                                                     \
        if (!(truth)) {                                                      \
            std::fprintf(stderr, "in the case \"%s\":\n", (name).c_str());   \
            CHECK(truth);                                                    \
        }                                                                    \
    } while (0)

#endif
