// libcurl, with typed inlines over its variadic setters and getters. No logic.
#pragma once
#include <curl/curl.h>

static inline CURLcode sfs_curl_set_long(CURL *h, CURLoption o, long v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode sfs_curl_set_offset(CURL *h, CURLoption o, curl_off_t v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode sfs_curl_set_string(CURL *h, CURLoption o, const char *v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode sfs_curl_set_pointer(CURL *h, CURLoption o, void *v) { return curl_easy_setopt(h, o, v); }
static inline CURLcode sfs_curl_set_list(CURL *h, CURLoption o, struct curl_slist *v) { return curl_easy_setopt(h, o, v); }
typedef size_t (*sfs_curl_data_callback)(char *, size_t, size_t, void *);
static inline CURLcode sfs_curl_set_callback(CURL *h, CURLoption o, sfs_curl_data_callback f) { return curl_easy_setopt(h, o, f); }
typedef int (*sfs_curl_progress_callback)(void *, curl_off_t, curl_off_t, curl_off_t, curl_off_t);
static inline CURLcode sfs_curl_set_progress(CURL *h, sfs_curl_progress_callback f) { return curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, f); }
typedef int (*sfs_curl_seek_callback)(void *, curl_off_t, int);
static inline CURLcode sfs_curl_set_seek(CURL *h, sfs_curl_seek_callback f) { return curl_easy_setopt(h, CURLOPT_SEEKFUNCTION, f); }
typedef int (*sfs_curl_socket_callback)(void *, curl_socket_t, curlsocktype);
static inline CURLcode sfs_curl_set_socket(CURL *h, sfs_curl_socket_callback f) { return curl_easy_setopt(h, CURLOPT_SOCKOPTFUNCTION, f); }
typedef int (*sfs_curl_close_callback)(void *, curl_socket_t);
static inline CURLcode sfs_curl_set_close(CURL *h, sfs_curl_close_callback f) { return curl_easy_setopt(h, CURLOPT_CLOSESOCKETFUNCTION, f); }
static inline CURLcode sfs_curl_get_long(CURL *h, CURLINFO i, long *v) { return curl_easy_getinfo(h, i, v); }
static inline CURLcode sfs_curl_get_offset(CURL *h, CURLINFO i, curl_off_t *v) { return curl_easy_getinfo(h, i, v); }
static inline CURLcode sfs_curl_get_string(CURL *h, CURLINFO i, char **v) { return curl_easy_getinfo(h, i, v); }
static inline CURLcode sfs_curl_get_pointer(CURL *h, void **v) { return curl_easy_getinfo(h, CURLINFO_PRIVATE, (char **)v); }
static inline CURLMcode sfs_curl_multi_set_long(CURLM *m, CURLMoption o, long v) { return curl_multi_setopt(m, o, v); }
static inline CURLMsg *sfs_curl_multi_next(CURLM *m) { int left; return curl_multi_info_read(m, &left); }
static inline CURLcode sfs_curl_msg_result(const CURLMsg *m) { return m->data.result; }
static inline CURLSHcode sfs_curl_share_data(CURLSH *s, curl_lock_data d) { return curl_share_setopt(s, CURLSHOPT_SHARE, d); }
static inline CURLcode sfs_curl_global_init(void) { return curl_global_init(CURL_GLOBAL_DEFAULT); }
